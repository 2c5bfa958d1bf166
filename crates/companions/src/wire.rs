//! From a payload to a record, the same for every companion.

use chrono::{DateTime, Utc};
use contract::{Envelope, Header, Payload, Source, Topic};
use engine::ports::{Delivery, Record, Traceparent};
use uuid::Uuid;

/// Why a companion says something: the record that moved it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cause {
    /// The record's event id.
    pub(crate) event_id: Uuid,
    /// The thread it belongs to, which every answer echoes; where the writer gave none, its event id.
    pub(crate) correlation_id: Uuid,
    /// When the writer says it happened, else when it was read.
    pub(crate) at: DateTime<Utc>,
    /// The place in a trace that it named, which every answer repeats.
    pub(crate) trace: Option<Traceparent>,
}

impl Cause {
    /// Of a record that has been read.
    pub(crate) fn of<B>(incoming: &contract::Incoming<B>, delivery: &Delivery, now: DateTime<Utc>) -> Self {
        Self {
            event_id: incoming.event_id,
            correlation_id: incoming.correlation_id.unwrap_or(incoming.event_id),
            at: incoming.at.unwrap_or(now),
            trace: delivery.trace,
        }
    }

    /// The id of an event that follows from this one: the same however often it is made.
    pub(crate) fn event_id(&self, topic: Topic, part: &str) -> Uuid {
        Uuid::new_v5(&self.event_id, format!("{topic}\n{part}").as_bytes())
    }
}

/// Where a record goes, and in whose name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub(crate) topic: Topic,
    pub(crate) source: Source,
    /// The batch, or the essay that has none.
    pub(crate) key: Uuid,
}

/// The record of an event that follows from `cause`; `part` tells it from its siblings on the same topic.
pub(crate) fn record<T: Payload>(
    to: Address,
    cause: &Cause,
    part: &str,
    at: DateTime<Utc>,
    payload: T,
) -> Record {
    let event_id = cause.event_id(to.topic, part);
    let envelope = Envelope::new(to.topic, event_id, cause.correlation_id, at, to.source, payload, None);
    addressed(to, &envelope, envelope.to_bytes(), cause)
}

/// The record of a finished envelope that follows from `cause`.
pub(crate) fn addressed<T>(to: Address, envelope: &Envelope<T>, value: Vec<u8>, cause: &Cause) -> Record {
    let header = |name: &str, value: String| (name.to_owned(), value);
    let trace = cause.trace.map(|place| header(Header::TRACEPARENT, place.to_string()));
    Record {
        topic: to.topic,
        key: to.key.to_string(),
        event_id: envelope.event_id,
        headers: [
            header(Header::EVENT_ID, envelope.event_id.to_string()),
            header(Header::EVENT_TYPE, envelope.event_type.to_owned()),
        ]
        .into_iter()
        .chain(trace)
        .collect(),
        value,
        at: None,
    }
}

/// Notes a record that cannot be read and is passed over, as a neighbour would: by its code, never by what it holds.
pub(crate) fn passed_over(delivery: &Delivery, error: &contract::ReadError) {
    tracing::warn!(topic = %delivery.topic, offset = delivery.offset, code = error.code(), "passed over an unreadable record");
}
