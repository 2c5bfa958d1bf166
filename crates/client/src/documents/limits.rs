//! The limits of an installation.

use domain::Phase;
use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use super::schemas;

/// The limits of this installation, and the phases that it serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Limits {
    /// Most essays in a batch; more: 422 `too_many_essays`.
    pub essays_per_batch: u32,
    /// Most bytes in an essay, as UTF-8; more: 413 for a single essay, an error of the essay in a batch.
    pub text_bytes: u64,
    /// Most bytes in the body of a request; more: 413, without reading the rest.
    pub body_bytes: u64,
    /// Most bytes in all bodies in flight; more: 429.
    pub bodies_in_flight_bytes: u64,
    /// Most bytes of texts that wait for the Content Service; more: 503 `backlog_full`.
    pub staged_bytes: u64,
    /// Most messages that wait for the event bus; more: 503 `backlog_full`.
    pub outbox_rows: u32,
    /// Most labels on a batch.
    pub labels_per_batch: u32,
    /// Most characters in a label's key.
    pub label_key_characters: u32,
    /// Most characters in a label's value.
    pub label_value_characters: u32,
    /// Most characters in an Idempotency-Key.
    pub idempotency_key_characters: u32,
    /// How long the answer to an Idempotency-Key is kept, in seconds.
    pub idempotency_answers_seconds: u64,
    /// The longest `?wait=` of a status request, in seconds.
    pub status_wait_seconds: u64,
    /// The phases that this installation serves.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::phases))]
    pub phases: Vec<Phase>,
}
