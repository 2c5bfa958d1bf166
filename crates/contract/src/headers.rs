//! Kafka headers, which let a consumer drop duplicates and keep the order without parsing the value.

use crate::envelope::Envelope;

/// The names of the headers.
///
/// The platform's consumers deduplicate without parsing only when both [`EVENT_ID`](Self::EVENT_ID) and
/// [`EVENT_TYPE`](Self::EVENT_TYPE) are present, so a record has both or neither.
#[derive(Debug)]
pub enum Header {}

impl Header {
    /// The envelope's `event_id`.
    pub const EVENT_ID: &'static str = "event_id";
    /// The envelope's `event_type`.
    pub const EVENT_TYPE: &'static str = "event_type";
    /// The envelope's `source_service`.
    pub const SOURCE_SERVICE: &'static str = "source_service";
    /// The envelope's `correlation_id`.
    pub const TRACE_ID: &'static str = "trace_id";
    /// The envelope's `schema_version`.
    pub const SCHEMA_VERSION: &'static str = "schema_version";
    /// The envelope's `event_timestamp`.
    pub const OCCURRED_AT: &'static str = "occurred_at";
    /// `application/json`.
    pub const CONTENT_TYPE: &'static str = "content_type";
    /// The sequence number of the record among the records of its key; it only rises.
    pub const KEY_SEQ: &'static str = "key_seq";
    /// The attempt at the phase that the record belongs to, from 1; left out where there is none.
    pub const ATTEMPT: &'static str = "attempt";
    /// 1, 2, … for a command or a request that is sent again under another event id; left out on the first one.
    pub const RESEND: &'static str = "resend";
    /// W3C trace context; left out where there is none.
    pub const TRACEPARENT: &'static str = "traceparent";
}

/// The headers' values that are not in the envelope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The sequence number of the record among the records of its key; it only rises.
    pub key_seq: i64,
    /// The attempt at the phase, from 1.
    pub attempt: Option<u32>,
    /// How often the message was sent again under another event id.
    pub resend: u32,
    /// W3C trace context.
    pub traceparent: Option<&'a str>,
}

/// The headers of a record, in a fixed order.
pub fn headers<T>(envelope: &Envelope<T>, delivery: Delivery<'_>) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        (Header::EVENT_ID, envelope.event_id.to_string()),
        (Header::EVENT_TYPE, envelope.event_type.to_owned()),
        (Header::SOURCE_SERVICE, envelope.source_service.to_string()),
        (Header::TRACE_ID, envelope.correlation_id.to_string()),
        (Header::SCHEMA_VERSION, envelope.schema_version.to_string()),
        (Header::OCCURRED_AT, envelope.event_timestamp.to_string()),
        (Header::CONTENT_TYPE, "application/json".to_owned()),
        (Header::KEY_SEQ, delivery.key_seq.to_string()),
    ];
    headers.extend(delivery.attempt.map(|attempt| (Header::ATTEMPT, attempt.to_string())));
    headers.extend((delivery.resend > 0).then(|| (Header::RESEND, delivery.resend.to_string())));
    headers.extend(delivery.traceparent.map(|parent| (Header::TRACEPARENT, parent.to_owned())));
    headers
}
