//! Apache Kafka behind the engine's [`Broker`] port. librdkafka is known to this file and its folder alone.
//!
//! What matters is in [`settings`]; a test reads every line of it back from a client. The producer is replaced when librdkafka
//! gives it up for good (`producer.rs`); a reader polls on a thread of its own, so that a database that is away for an hour
//! costs it no membership (`consumer.rs`).

pub mod admin;
mod consumer;
pub mod denial;
mod elsewhere;
mod failure;
pub mod group;
mod health;
mod lookout;
mod producer;
pub mod record;
pub mod settings;
pub mod topics;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use contract::Topic;
use engine::ports::{Broker, BrokerError, Delivery, Record, RecordPosition, SendError, Subscription};
use futures::future::BoxFuture;
use rdkafka::error::KafkaError;

use health::Health;
use lookout::Topics;
use producer::Producer;
use settings::KafkaSettings;
use tokio_util::sync::CancellationToken;

/// Records of one call of `publish` that are in flight together; librdkafka's own queue is larger.
const IN_FLIGHT: usize = 5_000;

/// How long clients may take to end: a reader tells its group that it leaves.
const LEAVE: Duration = Duration::from_secs(5);

/// A Kafka cluster.
#[derive(Debug)]
pub struct KafkaBroker {
    settings: KafkaSettings,
    producer: Producer,
    health: Health,
    topics: Topics,
    readers: Mutex<Vec<JoinHandle<()>>>,
}

impl KafkaBroker {
    /// A client of the cluster, which need not be there yet.
    ///
    /// # Errors
    /// When librdkafka does not take the settings, such as a certificate that cannot be read.
    pub fn new(settings: KafkaSettings) -> Result<Self, KafkaError> {
        let health = Health::default();
        let producer = Producer::new(settings.clone(), health.clone())?;
        let (topics, readers) = (Topics::default(), Mutex::default());
        Ok(Self { settings, producer, health, topics, readers })
    }

    /// Looks at the topics until `end`: one that is missing, or takes nothing, is said with what to do.
    pub fn watch_topics(&self, end: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        self.topics.clone().watch(self.settings.clone(), end)
    }

    /// Waits until every reader has left its group. To be called when the readers are dropped.
    pub async fn close(&self) {
        let readers = self.take_readers();
        // What is spawned here neither panics nor is cancelled.
        let _ = tokio::task::spawn_blocking(|| join(readers)).await;
    }

    /// The same, and ends all clients. To be called when nothing is sent any more.
    ///
    /// librdkafka's threads wait by the wall clock ([#2145](https://github.com/confluentinc/librdkafka/issues/2145)): where that
    /// has gone back by an hour, they end after an hour. So this does not wait for long; nothing is lost by that.
    pub async fn leave(self: Arc<Self>) {
        let left = tokio::task::spawn_blocking(move || {
            join(self.take_readers());
            drop(self);
        });
        if tokio::time::timeout(LEAVE, left).await.is_err() {
            tracing::warn!("clients of the event bus do not end, and are left behind");
        }
    }

    fn take_readers(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.readers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn join(readers: Vec<JoinHandle<()>>) {
    if readers.into_iter().try_for_each(JoinHandle::join).is_err() {
        tracing::error!("a reader of the event bus panicked");
    }
}

#[async_trait]
impl Broker for KafkaBroker {
    fn send(&self, record: Record) -> BoxFuture<'static, Result<RecordPosition, SendError>> {
        let (flight, topics) = (self.producer.send(&record), self.topics.clone());
        Box::pin(async move { flight.await.inspect_err(|_| topics.doubt()) })
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
