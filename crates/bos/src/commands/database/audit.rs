//! `bos audit`: checks the topics against the database.

use std::time::Duration;

use clap::Args;
use engine::ports::{Clock as _, SystemClock};
use invariants::Evaluation;
use serde::Serialize;

use crate::commands::Exit;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use audit::compare::compare;
use service::backends;
use service::config::{Error, Fault};
use service::settings::kafka_settings;

/// Margin inside the retention of sent events: events that are about to be deleted are not checked (chosen).
const EDGE: Duration = Duration::from_hours(1);

/// Check the topics against the database, and report every violated invariant.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    DATABASE_URL=… KAFKA_BOOTSTRAP_SERVERS=… bos audit\n  bos audit --since 2h -o json\n\n\
    Reads while the service runs, and changes nothing. Needs Kafka, so it opens PostgreSQL and asks\n\
    no server. Exit: 0 no violation · 1 violations.\n\
    docs/reliability.md says what each invariant means.")]
pub(crate) struct AuditCommand {
    #[command(flatten)]
    settings: SettingsArgs,
    /// How far back to check
    #[arg(long, value_name = "TIME", value_parser = crate::commands::duration)]
    #[arg(help = "How far back to check, such as 2h [default: all kept events]")]
    since: Option<Duration>,
}

#[derive(Serialize)]
struct Row {
    invariant: &'static str,
    says: &'static str,
    checked: String,
    violations: usize,
    /// The first violations, with ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    first: Vec<String>,
}

impl From<Evaluation> for Row {
    fn from(evaluation: Evaluation) -> Self {
        let Evaluation { invariant, checked, unit, findings, violations } = evaluation;
        Self {
            invariant: invariant.id(),
            says: invariant.title(),
            checked: format!("{checked} {unit}"),
            violations,
            first: findings.iter().map(ToString::to_string).collect(),
        }
    }
}

impl AuditCommand {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let config = self.settings.load_for_maintenance()?.config;
        let Some(kafka) = kafka_settings(&config) else {
            let next_step =
                "set KAFKA_BOOTSTRAP_SERVERS; without Kafka each event is committed together with its row";
            let fault =
                Fault::new("kafka_bootstrap_servers", "is unset, so there is nothing to check", next_step);
            return Err(Error(vec![fault]).into());
        };
        let kept = config.sent_event_retention.saturating_sub(EDGE);
        let (now, back) = (SystemClock::default().now(), self.since.unwrap_or(kept).min(kept));
        let store = backends::postgres(&config).await?;
        let compared = compare(&store, kafka, Some(now - back), now).await;
        store.close().await;
        let (evaluations, figures) = compared?;
        let rows: Vec<Row> = evaluations.into_iter().map(Row::from).collect();
        let violations: usize = rows.iter().map(|row| row.violations).sum();
        output.rows(&["invariant", "says", "checked", "violations"], &rows, |row| {
            vec![
                row.invariant.to_owned(),
                row.says.to_owned(),
                row.checked.clone(),
                row.violations.to_string(),
            ]
        })?;
        for row in rows.iter().filter(|row| row.violations > 0) {
            let first = row.first.iter().map(|what| format!("  {what}"));
            let more = row.violations - row.first.len();
            let more = (more > 0).then(|| format!("  … and {more} more"));
            output.say(&format!("{} violated:", row.invariant))?;
            first.chain(more).try_for_each(|line| output.say(&line))?;
            if row.invariant == "I6" {
                output.say("  Events of another installation on the same topics are reported here too.")?;
            }
        }
        let verdict =
            if violations == 0 { "no violation".to_owned() } else { format!("{violations} violations") };
        output.say(&format!(
            "{verdict} in {} events, {} batches ({} records read; {} events are on a topic more than once, and their \
             readers drop the duplicates; {} dead letters)",
            figures.events, figures.batches, figures.records, figures.duplicates, figures.set_aside
        ))?;
        Ok(if violations == 0 { Exit::Ok } else { Exit::Failed })
    }
}
