//! What the engine asks of the world: an event bus, a Content Service, a clock.
//!
//! A port exists only where two real implementations do: Kafka and the embedded log, an HTTP client and the Content Service
//! in this process, the system's clock and a test's.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::Topic;
use futures::future::BoxFuture;
use uuid::Uuid;

pub use crate::Traceparent;

/// A message on its way to the bus.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where it goes.
    pub topic: Topic,
    /// What partitions and orders it: the batch's id, or the essay's for a single essay.
    pub key: String,
    /// Stable for the life of the event, the same on every attempt.
    pub event_id: Uuid,
    /// The envelope's bytes.
    pub value: Vec<u8>,
    /// Headers, so that a consumer can deduplicate without parsing.
    pub headers: Vec<(String, String)>,
    /// When it is sent, by the database's clock, whatever the process believes; none: by the process's own.
    pub at: Option<DateTime<Utc>>,
}

/// A message that came from the bus.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Where it came from.
    pub topic: Topic,
    /// The partition; 0 on the embedded log.
    pub partition: i64,
    /// The place in the partition; the record's id on the embedded log.
    pub offset: i64,
    /// The key it was sent under.
    pub key: String,
    /// The envelope's bytes.
    pub value: Bytes,
    /// The place in a trace that its header `traceparent` names.
    pub trace: Option<Traceparent>,
}

/// Where the bus has put a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The partition; 0 on the embedded log.
    pub partition: i64,
    /// The place in the partition; the record's id on the embedded log.
    pub offset: i64,
}

/// Why a record is not known to be on the bus. It may be there all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The bus cannot serve now, which is nobody's fault and no attempt: the record is sent again, for as long as it takes.
    #[error("the event bus cannot be used now ({code})")]
    Unavailable {
        /// `broker_unreachable`, `broker_timeout`, `topic_unknown`, …
        code: &'static str,
    },
    /// The bus will never take this record.
    #[error("the event bus refuses this record ({code})")]
    Refused {
        /// `record_too_large`, `record_invalid`.
        code: &'static str,
    },
    /// The bus said something that is neither: an attempt of this record's own.
    #[error("the event bus did not take this record ({code})")]
    Failed {
        /// The bus's own name for it.
        code: &'static str,
    },
}

/// The bus cannot serve now. Nothing is lost: the caller tries again.
#[derive(Debug, thiserror::Error)]
#[error("the event bus cannot {doing}")]
pub struct BrokerError {
    /// What it was to do.
    pub doing: &'static str,
    /// The error below.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// An event bus.
#[async_trait]
pub trait Broker: Debug + Send + Sync {
    /// Hands a record over, in the order of the calls within a key, and tells later where it is. What is dropped before that
    /// may be published or not.
    fn send(&self, record: Record) -> BoxFuture<'static, Result<Placed, SendError>>;

    /// Makes the records durable on the bus, in this order within a key. All or none, as far as the caller may rely on it:
    /// after an error any of them may have been published, and publishing again is harmless because of the event ids.
    async fn publish(&self, records: Vec<Record>) -> Result<(), BrokerError>;

    /// Reads the topics as one of the named consumer group, from where the group stopped.
    async fn subscribe(
        &self,
        consumer: &'static str,
        topics: Vec<Topic>,
    ) -> Result<Box<dyn Subscription>, BrokerError>;

    /// Reads records of a topic once more, from their places and in that order; those that it no longer has are left out. Moves
    /// nobody's position.
    async fn fetch(&self, topic: Topic, places: Vec<Placed>) -> Result<Vec<Delivery>, BrokerError>;

    /// Why the bus cannot be used just now, as far as it is known without asking.
    fn trouble(&self) -> Option<&'static str> {
        None
    }
}

/// A reader's place on the bus.
#[async_trait]
pub trait Subscription: Debug + Send {
    /// Waits for messages and returns some, at most `limit`. Handed out once; after an error or a restart, everything that
    /// was not committed comes again.
    async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BrokerError>;

    /// Everything handed out so far is dealt with and must not come again.
    async fn commit(&mut self) -> Result<(), BrokerError>;

    /// Goes back to the last commit, after a failure to deal with what was handed out.
    async fn rewind(&mut self) -> Result<(), BrokerError>;
}

/// Why the Content Service did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Away, hanging, overloaded or talking nonsense: asked again later, for as long as it takes.
    #[error("the Content Service cannot be used now ({code})")]
    Unavailable {
        /// `content_unreachable`, `content_timeout`, `content_busy`, `content_nonsense`, …
        code: &'static str,
        /// When it asked to be left alone until.
        retry_after: Option<Duration>,
    },
    /// It says no for good: this text will never be stored.
    #[error("the Content Service refuses this text ({code})")]
    Refused {
        /// `content_refused`, `text_not_found`, …
        code: &'static str,
    },
}

/// The Content Service: immutable texts under ids of its own making. Not idempotent: each call makes a new id. What it says
/// is an id is checked by whoever stores it.
#[async_trait]
pub trait ContentStore: Debug + Send + Sync {
    /// Stores texts; one answer each, in order.
    async fn store(&self, texts: Vec<Bytes>) -> Vec<Result<String, ContentError>>;

    /// As [`ContentStore::store`], each text with its place in a trace, for a service that hands it on.
    async fn store_traced(
        &self,
        texts: Vec<(Bytes, Option<Traceparent>)>,
    ) -> Vec<Result<String, ContentError>> {
        self.store(texts.into_iter().map(|(text, _)| text).collect()).await
    }

    /// The bytes of a stored text.
    async fn fetch(&self, id: &str) -> Result<Bytes, ContentError>;

    /// Whether a text is stored under this id, and how long it is in bytes.
    async fn look_up(&self, id: &str) -> Result<u64, ContentError>;
}

/// Time, for stamping units on SQLite and for waiting.
#[async_trait]
pub trait Clock: Debug + Send + Sync {
    /// The time.
    fn now(&self) -> DateTime<Utc>;

    /// Time since some instant of the past, which nobody sets back or forward.
    fn monotonic(&self) -> Duration;

    /// Returns after this long.
    async fn sleep(&self, time: Duration);

    /// Where within a pause to come back, above 0 and at most 1: drawn at random, so that processes do not come back in step.
    fn jitter(&self) -> f64 {
        f64::from(1 + getrandom::u32().map_or(1023, |n| n % 1024)) / 1024.0
    }
}

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system for the time")]
    fn now(&self) -> DateTime<Utc> {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
        DateTime::from_timestamp_micros(micros).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A clock that a test moves by hand.
#[derive(Debug)]
pub struct ManualClock {
    start: DateTime<Utc>,
    now: tokio::sync::watch::Sender<DateTime<Utc>>,
}

impl ManualClock {
    /// A clock that shows this time until it is moved.
    pub fn new(start: DateTime<Utc>) -> Self {
        Self { start, now: tokio::sync::watch::Sender::new(start) }
    }

    /// Moves the clock; whoever sleeps until then wakes.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now += by);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.borrow()
    }

    fn monotonic(&self) -> Duration {
        (self.now() - self.start).to_std().unwrap_or_default()
    }

    async fn sleep(&self, time: Duration) {
        let until = self.now() + time;
        let mut seen = self.now.subscribe();
        // The sender is ours, so waiting can only end with the time.
        let _ = seen.wait_for(|now| *now >= until).await;
    }
}
