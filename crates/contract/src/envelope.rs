//! The wrapper of every record.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::time::Timestamp;
use crate::topic::Topic;
use crate::words::words;

pub(crate) mod sealed {
    /// Keeps the payloads to this crate, which knows that serializing them cannot fail.
    pub trait Sealed {}
}

/// What an envelope carries: one of the platform's models.
pub trait Payload: Serialize + sealed::Sealed {
    /// The platform's name for the model (2026).
    const MODEL: &'static str;
}

/// Says which model a payload is.
macro_rules! payload {
    ($payload:ty, $model:literal) => {
        impl $crate::envelope::sealed::Sealed for $payload {}
        impl $crate::envelope::Payload for $payload {
            const MODEL: &'static str = $model;
        }
    };
}
pub(crate) use payload;

words! {
    /// The service that wrote a record (`source_service`), spelled as the platform's services spell themselves.
    pub enum Source {
        /// BOS, on the registration and on essay-level requests.
        BatchService = "batch-service",
        /// BOS, on everything else.
        BatchOrchestratorService = "batch-orchestrator-service",
        /// ELS.
        EssayLifecycleService = "essay-lifecycle-service",
        /// The spell checker.
        SpellcheckerService = "spellchecker_service",
        /// The nlp worker.
        NlpService = "nlp_service",
    }
}

/// On whose behalf a record was written. Readers of 2025 ignore it; ELS of 2026 takes user and organisation of a
/// comparative judgement from here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// The owner of the batch.
    pub user_id: Option<String>,
    /// The owner's organisation.
    pub org_id: Option<String>,
    /// W3C trace context of the request behind the record; left out when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// Every record's value: UTF-8 JSON, every field present, `null` where empty.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Envelope<T> {
    /// Stable for the life of the event: the same on every attempt to publish it.
    pub event_id: Uuid,
    /// [`Topic::event_type`].
    pub event_type: &'static str,
    /// When the event came to be.
    pub event_timestamp: Timestamp,
    /// Who wrote it.
    pub source_service: Source,
    /// 1.
    pub schema_version: u32,
    /// The thread that the event belongs to; readers of 2026 refuse null.
    pub correlation_id: Uuid,
    /// Always null; the platform has never used it.
    pub data_schema_uri: Option<&'static str>,
    /// The payload.
    pub data: T,
    /// On whose behalf, on commands.
    pub metadata: Option<Metadata>,
}

impl<T: Payload> Envelope<T> {
    /// Wraps a payload for a topic.
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

    /// The value of the record.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self)
            .expect("a payload of this crate has string keys and no serializer that fails")
    }
}
