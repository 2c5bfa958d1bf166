//! Apache Kafka behind the engine's [`Broker`] port, over librdkafka. No other crate that ships links librdkafka.
//!
//! - [`settings`]: what librdkafka is told; a test reads every line back from a client.
//! - `producer.rs`: a producer that is replaced when librdkafka reports a fatal error.
//! - `consumer.rs`: a consumer that polls on a thread of its own, so that a database outage of an hour does not cost it its
//!   membership in the consumer group.
//! - `topic_monitor.rs`: watches the topics while the service runs.
//! - [`admin`], [`group`], [`record`], [`scan`], [`topics`]: for operators' commands and the audit.

pub mod admin;
mod background;
mod consumer;
pub mod denial;
mod failure;
pub mod group;
mod health;
mod producer;
pub mod record;
pub mod scan;
pub mod settings;
mod topic_monitor;
pub mod topics;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use contract::Topic;
use engine::ports::{Broker, BrokerError, Delivery, Record, RecordPosition, SendError, Subscription};
use futures::future::BoxFuture;
pub use rdkafka::error::KafkaError;

use health::Health;
use producer::Producer;
use settings::KafkaSettings;
use tokio_util::sync::CancellationToken;
use topic_monitor::TopicMonitor;

/// Records of one call of `publish` in flight at a time; below `queue.buffering.max.messages` (10,000).
const IN_FLIGHT: usize = 5_000;

/// How long closing the clients may take; a consumer tells its group that it leaves.
const LEAVE: Duration = Duration::from_secs(5);

/// A Kafka cluster.
#[derive(Debug)]
pub struct KafkaBroker {
    settings: KafkaSettings,
    producer: Producer,
    health: Health,
    topics: TopicMonitor,
    readers: Mutex<Vec<JoinHandle<()>>>,
}

impl KafkaBroker {
    /// A client of the cluster, which need not be there yet.
    ///
    /// # Errors
    /// When librdkafka does not take the settings, such as a certificate that cannot be read.
    pub fn new(settings: KafkaSettings) -> Result<Self, KafkaError> {
        let password = settings.sasl.as_ref().map(|sasl| sasl.password.clone());
        let health = Health::new(settings.names, password);
        let producer = Producer::new(settings.clone(), health.clone())?;
        let (topics, readers) = (TopicMonitor::default(), Mutex::default());
        Ok(Self { settings, producer, health, topics, readers })
    }

    /// Monitors the topics until `end`; logs a topic that is missing or takes no records, with what to do.
    pub fn watch_topics(&self, end: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        self.topics.clone().watch(self.settings.clone(), end)
    }

    /// Waits until every consumer has left its group. Call it after the subscriptions are dropped.
    pub async fn close(&self) {
        let readers = self.take_readers();
        // What is spawned here neither panics nor is cancelled.
        let _ = tokio::task::spawn_blocking(|| join(readers)).await;
    }

    /// Waits until every consumer has left its group, then closes all clients. Call it when nothing is sent any more.
    ///
    /// librdkafka's threads wait by the wall clock ([#2145](https://github.com/confluentinc/librdkafka/issues/2145)): where that
    /// was set back by an hour, they end after an hour. So this waits for 5 s at most; nothing is lost by giving up.
    pub async fn leave(self: Arc<Self>) {
        let left = tokio::task::spawn_blocking(move || {
            join(self.take_readers());
            drop(self);
        });
        if tokio::time::timeout(LEAVE, left).await.is_err() {
            tracing::warn!("the Kafka clients did not close within 5 s; the process ends without them");
        }
    }

    fn take_readers(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.readers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn join(readers: Vec<JoinHandle<()>>) {
    if readers.into_iter().try_for_each(JoinHandle::join).is_err() {
        tracing::error!("a polling thread of the Kafka consumer panicked");
    }
}

#[async_trait]
impl Broker for KafkaBroker {
    fn send(&self, record: Record) -> BoxFuture<'static, Result<RecordPosition, SendError>> {
        let (flight, topics) = (self.producer.send(&record), self.topics.clone());
        Box::pin(async move { flight.await.inspect_err(|_| topics.request_check()) })
    }

    async fn publish(&self, records: Vec<Record>) -> Result<(), BrokerError> {
        for some in records.chunks(IN_FLIGHT) {
            let flights: Vec<_> = some.iter().map(|record| self.producer.send(record)).collect();
            for outcome in futures::future::join_all(flights).await {
                outcome.map_err(|error| BrokerError { doing: "publish", source: Box::new(error) })?;
            }
        }
        Ok(())
    }

    async fn subscribe(
        &self,
        consumer: &'static str,
        topics: Vec<Topic>,
    ) -> Result<Box<dyn Subscription>, BrokerError> {
        let (reader, thread) =
            consumer::subscribe(&self.settings, &self.health, &self.topics, consumer, &topics)
                .map_err(|error| BrokerError { doing: "subscribe", source: Box::new(error) })?;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|thread| !thread.is_finished());
        readers.push(thread);
        Ok(Box::new(reader))
    }

    async fn fetch(&self, topic: Topic, places: Vec<RecordPosition>) -> Result<Vec<Delivery>, BrokerError> {
        let settings = self.settings.clone();
        let read = move || record::fetch(&settings, topic, &places);
        let read = tokio::task::spawn_blocking(read).await;
        let failed = |source| BrokerError { doing: "read records again", source };
        read.map_err(|panicked| failed(panicked.into()))?.map_err(|error| failed(error.into()))
    }

    fn outage(&self) -> Option<&'static str> {
        self.health.trouble().or_else(|| self.topics.trouble())
    }
}
