//! `bos promote`: moves a stopped embedded installation to PostgreSQL and Kafka.

use clap::Args;

use crate::commands::Exit;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use service::config::{Config, Error, Flag};
use service::promote::{self, Progress, Report, Row, StepLimit};

/// Move a stopped embedded installation to PostgreSQL and Kafka.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    bos promote --to postgres://bos@db/bos --kafka kafka-1:9092 --content http://content/v1/content\n\n\
    Moves all batches, also running ones, which `bos serve` on the new database continues; texts go\n\
    to the Content Service. If it is interrupted, run it again: it continues. The source is not\n\
    changed before the last step, and cannot be served after it. The defaults of --to, --kafka and\n\
    --content are the settings.")]
pub(crate) struct PromoteCommand {
    /// Target PostgreSQL, empty
    #[arg(long, value_name = "URL")]
    #[arg(help = "Target PostgreSQL, empty; a password is safer in DATABASE_URL")]
    to: Option<String>,
    /// Target Kafka
    #[arg(long, value_name = "SERVERS")]
    kafka: Option<String>,
    /// Target Content Service
    #[arg(long, value_name = "URL")]
    content: Option<String>,
    /// Check both sides, print what would move, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl PromoteCommand {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let config = self.config()?;
        let missing = config.unsupported_settings();
        if !missing.is_empty() {
            return Err(Error(missing).into());
        }
        // The engine's log is noise between the lines of progress.
        if output.is_verbose() {
            telemetry::init_log(config.log_level, config.log_format)?;
        }
        if self.dry_run {
            let report = promote::dry_run(&config).await?;
            show(&report, output)?;
            output.note(&format!(
                "About {} texts and these rows would move to {}. Nothing was changed.",
                report.texts_moved, report.to
            ));
            return Ok(Exit::Ok);
        }
        let report = promote::run(&config, &StepLimit::default(), &|progress| say(progress, output)).await?;
        if report.was_done {
            output.note(&format!("Already promoted to {}; nothing is left to do.", report.to));
            return Ok(Exit::Ok);
        }
        show(&report, output)?;
        end(&report, output);
        Ok(Exit::Ok)
    }

    fn config(&self) -> Result<Config, Error> {
        let mut settings = self.settings.clone();
        let named = [
            ("--to", "database_url", &self.to),
            ("--kafka", "kafka_bootstrap_servers", &self.kafka),
            ("--content", "content_service_url", &self.content),
        ];
        for (flag, key, value) in named {
            let flag =
                |value: &String| Flag { flag: flag.to_owned(), key: key.to_owned(), value: value.clone() };
            settings.named.extend(value.iter().map(flag));
        }
        Ok(settings.load_for_maintenance()?.config)
    }
}

fn say(progress: Progress, output: &Output) {
    match progress {
        Progress::CopyingSource => output.note("Copying the data folder, which is not changed …"),
        Progress::CatchingUp => output.note("Applying unread news …"),
        Progress::MovingTexts => output.note("Moving texts to the Content Service …"),
        Progress::ReplacingServices => output.note("Preparing messages for the new services …"),
        Progress::CopyingTable(table) => output.detail(&format!("Moving {table} …")),
        Progress::Comparing => output.note("Comparing both sides …"),
    }
}

fn show(report: &Report, output: &Output) -> anyhow::Result<()> {
    let header = ["table", "source", "target", "checksum"];
    output.rows(&header, &report.tables, |row: &Row| {
        vec![
            row.table.to_owned(),
            row.source_rows.to_string(),
            row.target_rows.map(|rows| rows.to_string()).unwrap_or_default(),
            row.checksum.as_ref().map(|sum| format!("{sum} ok")).unwrap_or_default(),
        ]
    })
}

fn end(report: &Report, output: &Output) {
    output.note(&format!("{} texts moved.", report.texts_moved));
    if report.texts_kept > 0 {
        output.note(&format!(
            "{} texts keep their ids: the embedded Content Service does not have them.",
            report.texts_kept
        ));
    }
    if report.dead_letters_left > 0 {
        output.note(&format!(
            "{} dead letters are not moved: they refer to positions in the embedded log.",
            report.dead_letters_left
        ));
    }
    output.note(&format!(
        "Promoted to {}. The data folder can no longer be served. Next: bos serve, with DATABASE_URL set",
        report.to
    ));
}
