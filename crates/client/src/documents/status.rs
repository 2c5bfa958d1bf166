//! The status of a batch.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::{AttentionCode, BatchId, BatchStatus, FailureCode, Phase, PhaseStatus, WaitingCode};
use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use super::schemas;

/// The status of a batch. It contains points in time and no durations, so an `ETag` always names the same document.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatusDocument {
    /// The id of the batch.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub batch_id: BatchId,
    /// The name of the batch, as submitted.
    pub name: Option<String>,
    /// The status of the batch: a word of the platform's vocabulary for clients.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::batch_status))]
    pub status: BatchStatus,
    /// The revision, which increases with every change. It is also the `ETag`, which has a suffix while messages of the batch
    /// wait for an unavailable event bus.
    pub revision: i64,
    /// The number of the run, counted from 1.
    pub run: u32,
    /// Whether the batch is paused: no further phase starts until it is resumed.
    pub paused: bool,
    /// Whether the batch needs the attention of a person.
    pub needs_attention: bool,
    /// What needs attention; null if nothing does.
    pub attention: Option<AttentionDocument>,
    /// When the batch was accepted.
    pub created_at: DateTime<Utc>,
    /// When the batch changed last.
    pub updated_at: DateTime<Utc>,
    /// When the latest run ended; null while it has not.
    pub ended_at: Option<DateTime<Utc>>,
    /// The essays of the batch by state.
    pub counts: Counts,
    /// All phases requested so far, in the order in which they run.
    pub phases: Vec<PhaseDocument>,
    /// What the batch waits for; null once it has ended.
    pub waiting_on: Option<WaitingDocument>,
    /// The status in one sentence, for people.
    pub sentence: String,
}

/// The number of essays of a batch in each state. The states sum to `total`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Counts {
    /// All essays of the batch.
    pub total: u32,
    /// Waiting for the text to be stored, for the next phase, or for a start request.
    pub waiting: u32,
    /// In the running phase.
    pub in_progress: u32,
    /// Succeeded in all requested phases.
    pub succeeded: u32,
    /// Failed in a phase, or the text was refused.
    pub failed: u32,
    /// Not finished when the batch was cancelled.
    pub cancelled: u32,
    /// Never processed, because the batch ended before a phase started.
    pub skipped: u32,
}

/// The status of a phase.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PhaseDocument {
    /// The requested phase.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::phase))]
    pub phase: Phase,
    /// The status of the phase: a word of the platform's vocabulary.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::phase_status))]
    pub status: PhaseStatus,
    /// The latest attempt, counted across runs; 0 before the first.
    pub attempt: u32,
    /// The essays of the phase by state.
    pub essay_counts: PhaseCounts,
    /// When the latest attempt started; null before the first.
    pub started_at: Option<DateTime<Utc>>,
    /// When the latest attempt ended; null while it has not.
    pub completed_at: Option<DateTime<Utc>>,
    /// Why the phase failed, if this service decided so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::failure_code))]
    pub error_code: Option<FailureCode>,
    /// Whether the phase ended on the reports about its essays, because its outcome did not arrive.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outcome_missing: bool,
    /// What the running phase waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_on: Option<WaitingDocument>,
}

/// The number of essays of a phase in each state, in the platform's terms.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PhaseCounts {
    /// Essays that entered the phase; 0 before it starts.
    pub total: u32,
    /// Essays without a result.
    pub pending_dispatch_or_processing: u32,
    /// Essays that succeeded in it.
    pub successful: u32,
    /// Essays that failed in it.
    pub failed: u32,
}

/// What a batch or a phase waits for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitingDocument {
    /// What is awaited, as a stable code.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::waiting_code))]
    pub code: WaitingCode,
    /// The number of texts, essays or messages, such as "6 essays", and how often what they wait for was sent again; empty if there
    /// is neither.
    pub detail: String,
    /// Since when it is awaited.
    pub since: DateTime<Utc>,
    /// When the service checks again; null if it only waits.
    pub next_check_at: Option<DateTime<Utc>>,
    /// How often the command or the requests of the running phase were sent again, because they may be lost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resends: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What needs the attention of a person.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttentionDocument {
    /// The reason, as a stable code.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::attention_code))]
    pub code: AttentionCode,
    /// Since when the reason holds.
    pub since: DateTime<Utc>,
}

impl StatusDocument {
    /// Whether nothing more happens without a request: the batch has ended, or no phase was requested.
    pub fn is_at_rest(&self) -> bool {
        !matches!(self.status, BatchStatus::PendingContent | BatchStatus::Processing)
    }

    /// Whether the batch has completed, with or without failed essays.
    pub fn has_completed(&self) -> bool {
        matches!(self.status, BatchStatus::CompletedSuccessfully | BatchStatus::CompletedWithFailures)
    }
}

/// The code in words, and the detail if there is one.
impl fmt::Display for WaitingDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code.as_str().replace('_', " "))?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}
