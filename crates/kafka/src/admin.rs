//! Inspecting the cluster and its topics, and creating missing topics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contract::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};

use super::denial::Denial;
use super::health::{ClientHealth, Health};
use super::settings::{KafkaSettings, SettingNames};
use super::topics::{Settings, TopicSpec, TopicState, keys};

/// How long the cluster may take to answer, unless [`Admin::with_timeout`] says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);
/// When to check for the first time why there is no answer yet: a cluster that denies a client never answers it.
const DOUBT: Duration = Duration::from_secs(1);
/// How long one poll waits for the client's next error event.
const LISTEN: Duration = Duration::from_millis(20);
/// The most error events that are read; more than a client can have queued.
const WORDS: usize = 100;

/// Why the cluster could not be inspected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster is reachable and refuses this client, or this client refuses it.
    #[error("{denial}: {next_step}")]
    Denied {
        /// Which side refuses what.
        denial: Denial,
        /// What to do about it.
        next_step: String,
    },
    /// Anything else.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
}

/// The outcome of creating a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateOutcome {
    /// The topic was created.
    Created,
    /// The topic existed, and is unchanged.
    Existed,
    /// The cluster refused, for this reason.
    Failed(String),
}

/// The state of a cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Brokers that are up.
    pub brokers: usize,
    /// The requested topics that exist.
    pub topics: BTreeMap<Topic, TopicState>,
}

/// A client for administration.
#[derive(Clone)]
pub struct Admin {
    client: Arc<AdminClient<ClientHealth>>,
    /// Asks for metadata, and receives the error events that explain a missing answer; the admin client does not expose them.
    witness: Arc<BaseConsumer<ClientHealth>>,
    patience: Duration,
    names: SettingNames,
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
        Ok(Self {
            client: Arc::new(client.create_with_context(Health::new(settings.names, None).client())?),
            witness: Arc::new(client.create_with_context(Health::new(settings.names, None).client())?),
            patience: PATIENCE,
            names: settings.names,
        })
    }

    /// Sets how long each answer may take; 10 s by default.
    #[must_use]
    pub fn with_timeout(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Reads the state of these topics.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn inspect(&self, topics: &[Topic]) -> Result<Cluster, Error> {
        let metadata = self.metadata().await?;
        let mut found: BTreeMap<Topic, TopicState> = BTreeMap::new();
        for topic in metadata.topics() {
            let known: Option<Topic> = topic.name().parse().ok();
            if let Some(known) = known.filter(|known| topics.contains(known)) {
                found.insert(known, layout(topic));
            }
        }
        let brokers = metadata.brokers().len();
        drop(metadata);
        // Reading settings needs a right of its own; the layout is enough to go on.
        if let Ok(settings) = self.settings(found.keys().copied()).await {
            for (topic, settings) in settings {
                if let Some(found) = found.get_mut(&topic) {
                    found.settings = Some(settings);
                }
            }
        }
        Ok(Cluster { brokers, topics: found })
    }

    /// Creates the topics that are missing, waits until the cluster serves them, and gives the outcome for each.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn create(&self, topics: &[Topic]) -> Result<Vec<(Topic, CreateOutcome)>, Error> {
        let wanted = TopicSpec::for_brokers(self.metadata().await?.brokers().len());
        let values = wanted.values();
        let requests: Vec<_> = topics.iter().map(|topic| wanted.new_topic(*topic, &values)).collect();
        let made = self.client.create_topics(&requests, &self.options()).await?;
        let made: Vec<(Topic, CreateOutcome)> = topics
            .iter()
            .copied()
            .zip(made.into_iter().map(|outcome| match outcome {
                Ok(_) => CreateOutcome::Created,
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => CreateOutcome::Existed,
                Err((_, code)) => CreateOutcome::Failed(code.to_string()),
            }))
            .collect();
        let created =
            made.iter().filter(|(_, made)| *made == CreateOutcome::Created).map(|(topic, _)| *topic);
        self.until_served(created.collect()).await?;
        Ok(made)
    }

    /// Waits until the cluster's metadata has a leader for every partition of these topics. The controller acknowledges a creation
    /// before the brokers know of it, and the next command would not find the topics. After [`Admin::patient_for`] it gives up: the
    /// topics exist.
    async fn until_served(&self, topics: Vec<Topic>) -> Result<(), Error> {
        if topics.is_empty() {
            return Ok(());
        }
        let admin = self.clone();
        let waiting = move || -> Result<(), Error> {
            let looks = admin.patience.as_millis() / LISTEN.as_millis();
            for _ in 0..looks {
                let metadata = admin.metadata_here()?;
                let is_served = |topic: &Topic| {
                    let found =
                        metadata.topics().iter().find(|found| found.name() == topic.as_str()).map(layout);
                    found.is_some_and(|found| found.partitions > 0 && found.leaderless == 0)
                };
                if topics.iter().all(is_served) {
                    break;
                }
                admin.witness.poll(LISTEN);
            }
            Ok(())
        };
        tokio::task::spawn_blocking(waiting).await.unwrap_or(Err(Error::Kafka(KafkaError::Canceled)))
    }

    /// librdkafka blocks the calling thread, so this runs on a thread for blocking work.
    async fn metadata(&self) -> Result<Metadata, Error> {
        let admin = self.clone();
        tokio::task::spawn_blocking(move || admin.metadata_here())
            .await
            .unwrap_or(Err(Error::Kafka(KafkaError::Canceled)))
    }

    fn metadata_here(&self) -> Result<Metadata, Error> {
        let doubt = DOUBT.min(self.patience);
        let first = self.witness.fetch_metadata(None, doubt);
        let outcome = match first {
            Err(_) if self.denial().is_none() && doubt < self.patience => {
                self.witness.fetch_metadata(None, self.patience.saturating_sub(doubt))
            }
            outcome => outcome,
        };
        outcome.map_err(|error| match self.denial() {
            Some(denial) => Error::Denied { denial, next_step: denial.next_step(&self.names) },
            None => Error::Kafka(error),
        })
    }

    /// The denial that the error events so far explain.
    fn denial(&self) -> Option<Denial> {
        for _ in 0..WORDS {
            if self.witness.poll(LISTEN).is_none() {
                break;
            }
        }
        self.witness.context().denial()
    }

    async fn settings(
        &self,
        topics: impl Iterator<Item = Topic>,
    ) -> Result<Vec<(Topic, Settings)>, KafkaError> {
        let resources: Vec<_> = topics.map(|topic| ResourceSpecifier::Topic(topic.as_str())).collect();
        if resources.is_empty() {
            return Ok(Vec::new());
        }
        let told = self.client.describe_configs(&resources, &self.options()).await?;
        Ok(told.into_iter().filter_map(|told| settings(&told.ok()?)).collect())
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new().operation_timeout(Some(self.patience)).request_timeout(Some(self.patience))
    }
}

fn layout(topic: &MetadataTopic) -> TopicState {
    let partitions = topic.partitions();
    TopicState {
        partitions: partitions.len(),
        leaderless: partitions.iter().filter(|partition| partition.leader() < 0).count(),
        replicas: partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0),
        in_sync_now: partitions.iter().map(|partition| partition.isr().len()).min().unwrap_or(0),
        settings: None,
    }
}

fn settings(resource: &ConfigResource) -> Option<(Topic, Settings)> {
    let OwnedResourceSpecifier::Topic(name) = &resource.specifier else { return None };
    let text = |key: &str| resource.get(key).and_then(|entry| entry.value.clone());
    let number = |key: &str| text(key).and_then(|value| value.parse().ok());
    let settings = Settings {
        retention_ms: number(keys::RETENTION),
        max_message_bytes: number(keys::MAX_MESSAGE),
        min_in_sync: number(keys::IN_SYNC),
        cleanup: text(keys::CLEANUP),
    };
    Some((name.parse().ok()?, settings))
}
