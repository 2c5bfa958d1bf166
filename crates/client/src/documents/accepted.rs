//! The answers to submissions.

use std::borrow::Cow;
use std::fmt;

use domain::{BatchId, BatchStatus, EssayId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::problem::write_fault;
#[cfg(feature = "openapi")]
use super::schemas;

/// An accepted batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchAccepted<'a> {
    /// The id of the batch.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub batch_id: BatchId,
    /// The correlation id of the batch, which its messages and log lines carry.
    pub correlation_id: Uuid,
    /// The status of the batch.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::batch_status))]
    pub status: BatchStatus,
    /// The number of accepted essays.
    pub accepted: usize,
    /// The number of essays that were left out.
    pub rejected: usize,
    /// The accepted essays, in the order of the request.
    pub essays: Vec<AcceptedEssay<'a>>,
    /// Why essays were left out, with `"on_invalid": "skip"`.
    pub rejections: Vec<Rejection>,
    /// The paths of the batch's resources.
    pub links: Links,
}

/// An accepted essay.
// The name is borrowed: the server writes this list before the batch is stored, and then stores the names that it has checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcceptedEssay<'a> {
    /// The id of the essay.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub essay_id: EssayId,
    /// The caller's own name for the essay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ref: Option<Cow<'a, str>>,
}

/// Paths of the batch's resources.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Links {
    /// The status of the batch.
    #[serde(rename = "self")]
    pub status: String,
    /// The batch with its submitted fields.
    pub batch: String,
    /// The essays of the batch.
    pub essays: String,
    /// The results of the batch.
    pub results: String,
}

/// An essay that was left out of a batch, with the reason.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rejection {
    /// The position of the essay in the request, counted from 0.
    pub index: usize,
    /// The caller's own name for the essay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ref: Option<String>,
    /// The reason, as a stable code.
    pub code: Cow<'static, str>,
    /// The place in the request, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The reason in words, for people.
    pub detail: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, client_ref, code, pointer, detail } = self;
        write_fault(f, (client_ref.as_deref(), Some(*index), Some(pointer), None), detail, code)
    }
}

/// An essay that was accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Triggered {
    /// What happens next, for people.
    pub message: Cow<'static, str>,
    /// The id of the essay.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub essay_id: EssayId,
    /// The correlation id of the essay's batch, which its messages and log lines carry.
    pub correlation_id: Uuid,
    /// The fields of the request that were ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored_fields: Vec<String>,
}
