//! The status document.

use chrono::{DateTime, Utc};
use domain::{
    AttentionCode, Batch, BatchId, BatchStatus, FailureCode, Phase, PhaseRecord, PhaseStatus, WaitingCode,
    WaitingOn,
};
use serde::Serialize;
use store::{EssayCounts, StatusRow};
use utoipa::ToSchema;

use super::Held;
use super::sentence::{messages, sentence};
use crate::schemas;

/// Where a batch is, in one document. It holds instants and never ages, so one `ETag` has one document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusDocument {
    #[schema(value_type = Uuid)]
    batch_id: BatchId,
    /// The name it was given.
    name: Option<String>,
    #[schema(schema_with = schemas::batch_status)]
    status: BatchStatus,
    /// Rises with every change. It is the `ETag` too, which says more only while messages of the batch wait for an event bus
    /// that is away.
    revision: i64,
    /// Which execution this is, counted from 1.
    run: u32,
    /// No further phase begins until somebody resumes the batch.
    paused: bool,
    /// Whether a person should look.
    needs_attention: bool,
    /// At what.
    attention: Option<AttentionDocument>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// When its latest run ended.
    ended_at: Option<DateTime<Utc>>,
    counts: Counts,
    /// The phases ever asked for, in the order in which they run.
    phases: Vec<PhaseDocument>,
    /// What the batch waits for; null once it has ended.
    waiting_on: Option<WaitingDocument>,
    /// The same in one plain sentence.
    sentence: String,
}

/// The essays of a batch by state. They always sum to `total`.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Counts {
    /// All essays.
    pub(crate) total: u32,
    /// For a text to be stored, for the next phase, or for the word to begin.
    pub(crate) waiting: u32,
    /// In the phase at work.
    pub(crate) in_progress: u32,
    /// Through with everything asked for.
    pub(crate) succeeded: u32,
    /// Failed in a phase, or their texts were refused.
    pub(crate) failed: u32,
    /// The batch was cancelled before they were through.
    pub(crate) cancelled: u32,
    /// The batch ended before any phase could begin.
    pub(crate) skipped: u32,
}

/// Where a phase stands.
#[derive(Debug, Serialize, ToSchema)]
struct PhaseDocument {
    #[schema(schema_with = schemas::phase)]
    phase: Phase,
    #[schema(schema_with = schemas::phase_status)]
    status: PhaseStatus,
    /// The latest attempt, counted up across runs; 0 until the first begins.
    attempt: u32,
    essay_counts: PhaseCounts,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    /// Why it failed, where the reason is this service's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::failure_code)]
    error_code: Option<FailureCode>,
    /// The phase ended from the news about its essays, since its outcome never came.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    outcome_missing: bool,
    /// What the phase at work waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_on: Option<WaitingDocument>,
}

/// The essays of a phase, in the platform's words.
#[derive(Debug, Serialize, ToSchema)]
struct PhaseCounts {
    total: u32,
    pending_dispatch_or_processing: u32,
    successful: u32,
    failed: u32,
}

/// What is awaited.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct WaitingDocument {
    #[schema(schema_with = schemas::waiting_code)]
    code: WaitingCode,
    /// How many of them, as in "6 essays".
    detail: String,
    since: DateTime<Utc>,
    /// When the service looks again by itself.
    next_check_at: Option<DateTime<Utc>>,
}

/// What a person should look at.
#[derive(Debug, Serialize, ToSchema)]
struct AttentionDocument {
    #[schema(schema_with = schemas::attention_code)]
    code: AttentionCode,
    since: DateTime<Utc>,
}

impl StatusDocument {
    /// The document of a batch with its counts, all of one snapshot, and of what the bus does not take of it: whatever it waits
    /// for by its own account cannot come before that is sent.
    pub(crate) fn of(status: &StatusRow, held: Option<Held>) -> Self {
        let batch = &status.row.batch;
        let held = held.filter(|_| !batch.is_ended());
        let counts = Counts::from(status.counts);
        let waiting_on = held
            .map(|held| WaitingDocument::on_bus(held, batch))
            .or_else(|| batch.waiting_on.as_ref().map(WaitingDocument::from));
        Self {
            batch_id: batch.id,
            name: status.row.name.as_ref().map(|name| name.0.clone()),
            status: batch.status(),
            revision: batch.revision,
            run: batch.run,
            paused: batch.paused,
            needs_attention: batch.attention.is_some(),
            attention: batch
                .attention
                .map(|attention| AttentionDocument { code: attention.code, since: attention.since }),
            created_at: batch.created_at,
            updated_at: batch.updated_at,
            ended_at: batch.ended_at,
            phases: phases(batch, waiting_on.as_ref()),
            sentence: sentence(batch, &counts, held),
            counts,
            waiting_on,
        }
    }
}

fn phases(batch: &Batch, waiting_on: Option<&WaitingDocument>) -> Vec<PhaseDocument> {
    let current = batch.current().map(|(phase, _)| phase);
    batch
        .phases
        .iter()
        .map(|record| PhaseDocument {
            phase: record.phase,
            status: record.status,
            attempt: record.attempt,
            essay_counts: PhaseCounts::from(record),
            started_at: record.started_at,
            completed_at: record.completed_at,
            error_code: record.error_code,
            outcome_missing: record.outcome_missing,
            waiting_on: waiting_on.filter(|_| current == Some(record.phase)).cloned(),
        })
        .collect()
}

impl From<&PhaseRecord> for PhaseCounts {
    fn from(record: &PhaseRecord) -> Self {
        Self {
            total: record.total,
            pending_dispatch_or_processing: record.pending(),
            successful: record.succeeded,
            failed: record.failed,
        }
    }
}

impl From<EssayCounts> for Counts {
    fn from(counts: EssayCounts) -> Self {
        let EssayCounts { waiting, in_progress, succeeded, failed, cancelled, skipped } = counts;
        Self { total: counts.total(), waiting, in_progress, succeeded, failed, cancelled, skipped }
    }
}

impl WaitingDocument {
    fn on_bus(held: Held, batch: &Batch) -> Self {
        Self {
            code: WaitingCode::BusUnreachable,
            detail: messages(held.messages),
            since: held.since.map_or(batch.updated_at, |since| since.max(batch.updated_at)),
            next_check_at: None,
        }
    }
}

/// The awaited texts or essays, as in "6 essays".
fn counted(n: u32, code: WaitingCode) -> String {
    let noun = match code {
        WaitingCode::Texts | WaitingCode::ContentUnreachable | WaitingCode::ContentRefuses => "text",
        WaitingCode::Close
        | WaitingCode::Registration
        | WaitingCode::Command
        | WaitingCode::Results
        | WaitingCode::Outcome
        | WaitingCode::Resume
        | WaitingCode::BusUnreachable => "essay",
    };
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

impl From<&WaitingOn> for WaitingDocument {
    fn from(waiting: &WaitingOn) -> Self {
        Self {
            code: waiting.code,
            detail: waiting.essays.map(|essays| counted(essays, waiting.code)).unwrap_or_default(),
            since: waiting.since,
            next_check_at: waiting.next_check_at,
        }
    }
}
