//! Builds records from payloads, in the same way for every companion.

use chrono::{DateTime, Utc};
use contract::{Envelope, Header, Payload, Source, Topic};
use engine::ports::{Delivery, Record, Traceparent};
use uuid::Uuid;

/// The record that caused a companion's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cause {
    /// The record's event id.
    pub(crate) event_id: Uuid,
    /// Its correlation id, which every answer repeats; its event id where the writer gave none.
    pub(crate) correlation_id: Uuid,
    /// The time in the record; the time of reading where it has none.
    pub(crate) at: DateTime<Utc>,
    /// Its trace context, which every answer repeats.
    pub(crate) trace: Option<Traceparent>,
}

impl Cause {
    /// The cause for events that answer this record.
    pub(crate) fn from_incoming<B>(
        incoming: &contract::Incoming<B>,
        delivery: &Delivery,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            event_id: incoming.event_id,
            correlation_id: incoming.correlation_id.unwrap_or(incoming.event_id),
            at: incoming.at.unwrap_or(now),
            trace: delivery.trace,
        }
    }

    /// The id of an event with this cause. It is derived, so a repetition has the same id.
    pub(crate) fn event_id(&self, topic: Topic, part: &str) -> Uuid {
        Uuid::new_v5(&self.event_id, format!("{topic}\n{part}").as_bytes())
    }
}

/// The topic, source and key of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub(crate) topic: Topic,
    pub(crate) source: Source,
    /// The batch.
    pub(crate) key: Uuid,
}

/// Builds the record of an event with `cause`; `part` distinguishes it from other events of that cause on the
/// topic.
pub(crate) fn record<T: Payload>(
    to: Address,
    cause: &Cause,
    part: &str,
    at: DateTime<Utc>,
    payload: T,
) -> Record {
    let event_id = cause.event_id(to.topic, part);
    let envelope = Envelope::new(to.topic, event_id, cause.correlation_id, at, to.source, payload, None);
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
        value: envelope.to_bytes(),
        at: None,
    }
}

/// Logs an unreadable record, which the companion skips as a peer service would. The log line contains its
/// code, never its content.
pub(crate) fn log_skipped(delivery: &Delivery, error: &contract::ReadError) {
    tracing::warn!(topic = %delivery.topic, offset = delivery.offset, code = error.code(), "skipped an unreadable record");
}
