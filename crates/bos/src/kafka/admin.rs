//! Topics: which are there, and making those that are missing.

use std::collections::BTreeMap;
use std::time::Duration;

use contract::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::health::{ClientHealth, Health};
use super::settings::KafkaSettings;

/// How long the cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every topic of ours is made with. Partitions are never raised while batches run: a key would move to another one, and
/// its order would break once.
const PARTITIONS: i32 = 6;
const REPLICAS: usize = 3;
const RETENTION_MS: &str = "1209600000"; // 14 days, as long as the inbox remembers
const MAX_MESSAGE_BYTES: &str = "2097152";

/// What became of a topic that was to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// It is new.
    Created,
    /// It was there, and is left as it is.
    Existed,
    /// The cluster says no.
    Failed(String),
}

/// A client for looking after the cluster.
pub struct Admin {
    client: AdminClient<ClientHealth>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admin")
    }
}

impl Admin {
    /// A client of the cluster.
    ///
    /// # Errors
    /// When librdkafka does not take the settings.
    pub fn new(settings: &KafkaSettings) -> Result<Self, KafkaError> {
        let mut client = settings.client();
        client.remove("statistics.interval.ms");
        Ok(Self { client: client.create_with_context(Health::default().client())? })
    }

    /// The number of brokers, and the topics with the number of their partitions.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn look(&self) -> Result<(usize, BTreeMap<String, usize>), KafkaError> {
        let metadata = self.client.inner().fetch_metadata(None, PATIENCE)?;
        let topics =
            metadata.topics().iter().map(|topic| (topic.name().to_owned(), topic.partitions().len()));
        Ok((metadata.brokers().len(), topics.collect()))
    }

    /// Makes the topics that are missing, and says what became of each.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn create(&self, topics: &[Topic]) -> Result<Vec<(Topic, Made)>, KafkaError> {
        let (brokers, _) = self.look()?;
        let replicas = i32::try_from(brokers.clamp(1, REPLICAS)).unwrap_or(1);
        let in_sync = if brokers >= REPLICAS { "2" } else { "1" };
        let wanted: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|topic| {
                NewTopic::new(topic.as_str(), PARTITIONS, TopicReplication::Fixed(replicas))
                    .set("retention.ms", RETENTION_MS)
                    .set("max.message.bytes", MAX_MESSAGE_BYTES)
                    .set("min.insync.replicas", in_sync)
            })
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
        let made = self.client.create_topics(&wanted, &options).await?;
        Ok(topics
            .iter()
            .copied()
            .zip(made.into_iter().map(|outcome| match outcome {
                Ok(_) => Made::Created,
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Made::Existed,
                Err((_, code)) => Made::Failed(code.to_string()),
            }))
            .collect())
    }
}
