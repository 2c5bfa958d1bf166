//! `bos topics check|create`: checks and creates the topics on Kafka.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use contract::Topic;
use serde::Serialize;

use crate::commands::Exit;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use kafka::admin::{Admin, Cluster, CreateOutcome};
use kafka::topics::{Difference, TopicSpec};
use service::config::{Error, Fault};
use service::settings::kafka_settings;

/// Check and create the topics on Kafka.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  KAFKA_BOOTSTRAP_SERVERS=localhost:9092 bos topics create")]
pub(crate) struct TopicsCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Compare the topics with those that `create` makes
    #[command(after_help = "Example:\n  bos topics check -o json\n\n\
        Exit code 4 if a topic is missing or differs; the column `mend` says what to run.")]
    Check {
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Create missing topics; existing ones are not changed
    #[command(after_help = "Example:\n  bos topics create")]
    Create {
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

#[derive(Serialize)]
struct Row {
    topic: &'static str,
    /// `created`, `there`, `differs`, `missing`, `failed`.
    state: &'static str,
    partitions: Option<usize>,
    replicas: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mend: Vec<String>,
}

impl TopicsCommand {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let (settings, create) = match self.action {
            Action::Check { settings } => (settings, false),
            Action::Create { settings } => (settings, true),
        };
        let config = settings.load_for_maintenance()?.config;
        let Some(kafka) = kafka_settings(&config) else {
            let fault = Fault::new("kafka_bootstrap_servers", "is unset", "set KAFKA_BOOTSTRAP_SERVERS");
            return Err(Error(vec![fault]).into());
        };
        let away = || format!("cannot use Kafka at {}", kafka.bootstrap_servers);
        let admin = Admin::new(&kafka).with_context(away)?;
        let made = if create { admin.create(Topic::ALL).await.with_context(away)? } else { Vec::new() };
        let cluster = admin.inspect(Topic::ALL).await.with_context(away)?;
        let rows: Vec<Row> = Topic::ALL
            .iter()
            .map(|topic| {
                let made = made.iter().find(|(of, _)| of == topic).map(|(_, made)| made);
                row(*topic, made, &cluster)
            })
            .collect();
        let all = rows.iter().all(|row| row.problems.is_empty());
        output.rows(&["topic", "state", "partitions", "replicas", "problem", "mend"], &rows, |row| {
            let number = |n: Option<usize>| n.map(|n| n.to_string()).unwrap_or_default();
            vec![
                row.topic.to_owned(),
                row.state.to_owned(),
                number(row.partitions),
                number(row.replicas),
                row.problems.join("; "),
                row.mend.join("; "),
            ]
        })?;
        Ok(if all { Exit::Ok } else { Exit::SomeFailed })
    }
}

fn row(topic: Topic, made: Option<&CreateOutcome>, cluster: &Cluster) -> Row {
    let found = cluster.topics.get(&topic);
    // A topic that was just created is as it should be, but may not have leaders yet.
    let differences = match (made, found) {
        (Some(CreateOutcome::Created), _) | (_, None) => Vec::new(),
        (_, Some(found)) => TopicSpec::for_brokers(cluster.brokers).differences(topic, found),
    };
    let mut row = Row {
        topic: topic.as_str(),
        state: "there",
        partitions: found.map(|found| found.partitions),
        replicas: found.map(|found| found.replicas),
        problems: differences.iter().map(|difference| difference.found.clone()).collect(),
        mend: differences.into_iter().map(|difference| difference.mend).collect(),
    };
    match made {
        Some(CreateOutcome::Created) => row.state = "created",
        Some(CreateOutcome::Failed(problem)) => {
            row.state = "failed";
            row.problems.push(problem.clone());
        }
        Some(CreateOutcome::Existed) | None if found.is_none() => {
            row.state = "missing";
            let Difference { found, mend, .. } = Difference::missing();
            row.problems.push(found);
            row.mend.push(mend);
        }
        Some(CreateOutcome::Existed) | None if !row.problems.is_empty() => row.state = "differs",
        Some(CreateOutcome::Existed) | None => {}
    }
    row
}
