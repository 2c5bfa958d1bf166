//! The envelope of every record.

use chrono::{DateTime, Utc};
use serde::Serialize;
use string_enum::string_enum;
use uuid::Uuid;

use crate::time::Timestamp;
use crate::topic::Topic;

pub(crate) mod sealed {
    /// Keeps other crates from implementing [`Payload`](super::Payload): for the payloads of this crate it is known that
    /// serializing them cannot fail.
    pub trait Sealed {}
}

/// The payload of an envelope: one of the platform's models.
pub trait Payload: Serialize + sealed::Sealed {
    /// The platform's name for the model (2026).
    const MODEL: &'static str;
}

/// Declares a payload with the name of its model.
macro_rules! payload {
    ($payload:ty, $model:literal) => {
        impl $crate::envelope::sealed::Sealed for $payload {}
        impl $crate::envelope::Payload for $payload {
            const MODEL: &'static str = $model;
        }
    };
}
pub(crate) use payload;

string_enum! {
    /// The service that wrote a record (`source_service`), in the spelling that the services themselves use.
    pub enum Source: "source service" {
        /// BOS, on the registration and on essay-level requests.
        BatchService = "batch-service",
        /// BOS, on all other records.
        BatchOrchestratorService = "batch-orchestrator-service",
        /// ELS.
        EssayLifecycleService = "essay-lifecycle-service",
        /// The spell checker.
        SpellcheckerService = "spellchecker_service",
        /// The nlp worker.
        NlpService = "nlp_service",
    }
}

/// The owner of the batch that a command is about, and the trace context.
///
/// Readers of 2025 ignore it; ELS of 2026 takes user and organisation of a comparative judgement from here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// The owner of the batch.
    pub user_id: Option<String>,
    /// The owner's organisation.
    pub org_id: Option<String>,
    /// W3C trace context of the request that caused the record; left out when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The value of every record: UTF-8 JSON with every field present, `null` where empty.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Envelope<T> {
    /// The id of the event, the same on every attempt to publish it.
    pub event_id: Uuid,
    /// [`Topic::event_type`].
    pub event_type: &'static str,
    /// When the event occurred.
    pub event_timestamp: Timestamp,
    /// The service that wrote the record.
    pub source_service: Source,
    /// Always 1.
    pub schema_version: u32,
    /// The correlation id; readers of 2026 refuse null.
    pub correlation_id: Uuid,
    /// Always null; the platform does not use it.
    pub data_schema_uri: Option<&'static str>,
    /// The payload.
    pub data: T,
    /// On commands, the owner of the batch.
    pub metadata: Option<Metadata>,
}

impl<T: Payload> Envelope<T> {
    /// Wraps a payload for `topic`.
    pub fn new(
        topic: Topic,
        event_id: Uuid,
        correlation_id: Uuid,
        at: DateTime<Utc>,
        source: Source,
        data: T,
        metadata: Option<Metadata>,
    ) -> Self {
        Self {
            event_id,
            event_type: topic.event_type(),
            event_timestamp: at.into(),
            source_service: source,
            schema_version: 1,
            correlation_id,
            data_schema_uri: None,
            data,
            metadata,
        }
    }

    /// The bytes of the record's value.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self)
            .expect("a payload of this crate has string keys and no serializer that fails")
    }
}
