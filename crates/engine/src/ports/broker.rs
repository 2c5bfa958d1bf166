//! The event bus.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::Topic;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::traceparent::Traceparent;

/// A message to be sent to the bus.
#[derive(Debug, Clone)]
pub struct Record {
    /// The topic that the record goes to.
    pub topic: Topic,
    /// The key, which determines the partition and so the order: the batch's id, or the essay's id for a single essay.
    pub key: String,
    /// The event id; the same on every attempt to send.
    pub event_id: Uuid,
    /// The bytes of the envelope.
    pub value: Vec<u8>,
    /// The headers as names and values. They let a consumer deduplicate without parsing the envelope.
    pub headers: Vec<(String, String)>,
    /// The record's timestamp by the database's clock. `None`: the clock of the process.
    pub at: Option<DateTime<Utc>>,
}

/// A message received from the bus.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The topic that the message was read from.
    pub topic: Topic,
    /// The partition; 0 on the embedded bus.
    pub partition: i64,
    /// The offset in the partition; the record's id on the embedded bus.
    pub offset: i64,
    /// The key that the message was sent with.
    pub key: String,
    /// The bytes of the envelope.
    pub value: Bytes,
    /// The trace context from the header `traceparent`.
    pub trace: Option<Traceparent>,
}

/// The position of a record in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPosition {
    /// The partition; 0 on the embedded bus.
    pub partition: i64,
    /// The offset in the partition; the record's id on the embedded bus.
    pub offset: i64,
}

/// Why a record was not acknowledged. The record may be on the bus all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The bus is unavailable. Transient; not counted as an attempt; retried indefinitely.
    #[error("the event bus is unavailable ({code})")]
    Unavailable {
        /// A stable code: `broker_unreachable`, `broker_timeout`, `topic_unknown`, …
        code: &'static str,
    },
    /// The bus will never accept this record. Permanent.
    #[error("the event bus refused the record permanently ({code})")]
    Refused {
        /// A stable code: `record_too_large`, `record_invalid`.
        code: &'static str,
    },
    /// Any other error. Counted as an attempt of this record, which is retried with back-off.
    #[error("the event bus did not accept the record ({code})")]
    Failed {
        /// A stable code, after the bus's own name of the error.
        code: &'static str,
    },
}

/// An operation on the bus failed. Transient: nothing is lost, and the caller retries.
#[derive(Debug, thiserror::Error)]
#[error("the event bus cannot {doing}")]
pub struct BrokerError {
    /// The operation, as it follows "cannot": `publish`, `read`, …
    pub doing: &'static str,
    /// The underlying error.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// An event bus.
#[async_trait]
pub trait Broker: Debug + Send + Sync {
    /// Sends a record and returns its position once the bus has acknowledged it. Records of one key keep the order of the calls.
    /// If the future is dropped before it completes, the record may or may not be published.
    fn send(&self, record: Record) -> BoxFuture<'static, Result<RecordPosition, SendError>>;

    /// Makes the records durable on the bus, in this order within a key.
    ///
    /// # Errors
    /// When any record was not acknowledged. Any of them may have been published then; publishing again is harmless because the
    /// event ids are the same.
    async fn publish(&self, records: Vec<Record>) -> Result<(), BrokerError>;

    /// Joins the consumer group and subscribes to the topics, from the group's committed offsets.
    ///
    /// # Errors
    /// When the bus is unavailable.
    async fn subscribe(
        &self,
        consumer: &'static str,
        topics: Vec<Topic>,
    ) -> Result<Box<dyn Subscription>, BrokerError>;

    /// Reads records of a topic by their positions and in that order, without a consumer group. Records that the topic no longer
    /// has are left out.
    ///
    /// # Errors
    /// When the bus is unavailable.
    async fn fetch(&self, topic: Topic, positions: Vec<RecordPosition>)
    -> Result<Vec<Delivery>, BrokerError>;

    /// The code of the outage that the client knows of without asking the bus; `None` when it knows of none.
    fn outage(&self) -> Option<&'static str> {
        None
    }
}

/// A subscription of a consumer group's member.
#[async_trait]
pub trait Subscription: Debug + Send {
    /// Waits for messages and returns at most `limit`. After an error or a restart, messages that were not committed are
    /// delivered again.
    ///
    /// # Errors
    /// When the bus is unavailable.
    async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BrokerError>;

    /// Commits the offsets of everything that was returned so far, so that it is not delivered again.
    ///
    /// # Errors
    /// When the bus is unavailable.
    async fn commit(&mut self) -> Result<(), BrokerError>;

    /// Goes back to the last commit, after the processing of messages failed.
    ///
    /// # Errors
    /// When the bus is unavailable.
    async fn rewind(&mut self) -> Result<(), BrokerError>;
}
