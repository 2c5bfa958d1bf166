//! `bos topics check|create`.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use contract::Topic;
use serde::Serialize;

use super::Exit;
use super::config::SettingsArgs;
use super::output::Output;
use crate::config::{Error, Fault};
use crate::kafka::admin::{Admin, Made};
use crate::kafka::settings::KafkaSettings;

/// Look after the topics of Kafka.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  KAFKA_BOOTSTRAP_SERVERS=localhost:9092 bos topics create")]
pub struct TopicsCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say which topics are there
    #[command(after_help = "Example:\n  bos topics check")]
    Check {
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Make the topics that are missing; those that are there are left as they are
    #[command(after_help = "Example:\n  bos topics create")]
    Create {
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

#[derive(Serialize)]
struct Row {
    topic: &'static str,
    state: &'static str,
    partitions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl TopicsCommand {
    pub(super) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let (settings, create) = match self.action {
            Action::Check { settings } => (settings, false),
            Action::Create { settings } => (settings, true),
        };
        let config = settings.load_for_upkeep()?.config;
        let Some(kafka) = KafkaSettings::of(&config) else {
            let fault = Fault::new("kafka_bootstrap_servers", "is unset", "set KAFKA_BOOTSTRAP_SERVERS");
            return Err(Error(vec![fault]).into());
        };
        let away = || format!("Kafka at {} does not answer", kafka.bootstrap_servers);
        let admin = Admin::new(&kafka).with_context(away)?;
        let made = if create { admin.create(Topic::ALL).await.with_context(away)? } else { Vec::new() };
        let (_, there) = admin.look().with_context(away)?;
        let rows: Vec<Row> = Topic::ALL
            .iter()
            .map(|topic| {
                let partitions = there.get(topic.as_str()).copied();
                let made = made.iter().find(|(of, _)| of == topic).map(|(_, made)| made);
                let (state, problem) = match made {
                    Some(Made::Created) => ("created", None),
                    Some(Made::Failed(problem)) => ("failed", Some(problem.clone())),
                    Some(Made::Existed) => ("there", None),
                    None if partitions.is_some() => ("there", None),
                    None => ("missing", Some("run `bos topics create`".to_owned())),
                };
                Row { topic: topic.as_str(), state, partitions, problem }
            })
            .collect();
        let all = rows.iter().all(|row| row.problem.is_none());
        output.rows(&["topic", "state", "partitions", "problem"], &rows, |row| {
            let partitions = row.partitions.map(|n| n.to_string()).unwrap_or_default();
            vec![
                row.topic.to_owned(),
                row.state.to_owned(),
                partitions,
                row.problem.clone().unwrap_or_default(),
            ]
        })?;
        Ok(if all { Exit::Ok } else { Exit::SomeFailed })
    }
}
