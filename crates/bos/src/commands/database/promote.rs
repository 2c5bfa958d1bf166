//! `bos promote`: moves a stopped embedded installation onto PostgreSQL and Kafka.

use clap::Args;

use crate::commands::Exit;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use service::config::{Config, Error};
use service::promote::{self, Pace, Progress, Report, Row};

/// Move a stopped embedded installation onto PostgreSQL and Kafka.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    bos promote --to postgres://bos@db/bos --kafka kafka-1:9092 --content http://content/v1/content\n\n\
    Batches move as they are, running ones too, and `bos serve` on the new database goes on with\n\
    them; texts go to the Content Service. Whatever interrupts it, the next run goes on. The source\n\
    is as it was until the last step, and is no longer served afterwards. What --to, --kafka and\n\
    --content do not name comes from the settings.")]
pub(crate) struct PromoteCommand {
    /// PostgreSQL to go to, empty
    #[arg(long, value_name = "URL")]
    #[arg(help = "PostgreSQL to go to, empty; a password is better in DATABASE_URL")]
    to: Option<String>,
    /// Kafka that is there
    #[arg(long, value_name = "SERVERS")]
    kafka: Option<String>,
    /// Content Service that takes the texts
    #[arg(long, value_name = "URL")]
    content: Option<String>,
    /// Look at both sides, say what would move, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl PromoteCommand {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let config = self.config()?;
        let missing = config.not_in_this_build();
        if !missing.is_empty() {
            return Err(Error(missing).into());
        }
        // What the road says by the way is for logs, which are not what somebody waits for here.
        if output.is_verbose() {
            telemetry::init_log(config.log_level, config.log_format)?;
        }
        if self.dry_run {
            let report = promote::look(&config).await?;
            show(&report, output)?;
            output.note(&format!(
                "About {} texts and these rows would go to {}. Nothing is changed.",
                report.texts_moved, report.to
            ));
            return Ok(Exit::Ok);
        }
        let report = promote::run(&config, &Pace::default(), &|progress| say(progress, output)).await?;
        if report.was_done {
            output.note(&format!("It was promoted to {} before; nothing is left to do.", report.to));
            return Ok(Exit::Ok);
        }
        show(&report, output)?;
        end(&report, output);
        Ok(Exit::Ok)
    }

    fn config(&self) -> Result<Config, Error> {
        let mut settings = self.settings.clone();
        let named = [
            ("database_url", &self.to),
            ("kafka_bootstrap_servers", &self.kafka),
            ("content_service_url", &self.content),
        ];
        for (key, value) in named {
            settings.set.extend(value.iter().map(|value| (key.to_owned(), value.clone())));
        }
        Ok(settings.load_for_upkeep()?.config)
    }
}

fn say(progress: Progress, output: &Output) {
    match progress {
        Progress::Copying => output.note("Copying the data folder; it stays as it is …"),
        Progress::CatchingUp => output.note("Applying news that nobody has read yet …"),
        Progress::MovingTexts => output.note("Moving texts to the Content Service …"),
        Progress::ReplacingNeighbours => output.note("Preparing what the new neighbours must know …"),
        Progress::Pouring(table) => output.detail(&format!("Moving {table} …")),
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
            "{} dead letters stay behind: they are places on the embedded log.",
            report.dead_letters_left
        ));
    }
    output.note(&format!(
        "Promoted to {}. The folder is no longer served; `bos serve` with DATABASE_URL goes on from there.",
        report.to
    ));
}
