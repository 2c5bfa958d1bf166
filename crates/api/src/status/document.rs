//! The status document.

use chrono::{DateTime, Utc};
use domain::{
    AttentionCode, Batch, BatchId, BatchStatus, FailureCode, Phase, PhaseRecord, PhaseStatus, WaitingCode,
    WaitingOn,
};
use serde::Serialize;
use store::StatusRow;
use utoipa::ToSchema;

use super::HeldMessages;
use super::counts::Counts;
use super::sentence::{messages, sentence};
use crate::schemas;

/// The status of a batch. It contains points in time and no durations, so an `ETag` always names the same document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusDocument {
    #[schema(value_type = Uuid)]
    batch_id: BatchId,
    /// The name of the batch, as submitted.
    name: Option<String>,
    #[schema(schema_with = schemas::batch_status)]
    status: BatchStatus,
    /// The revision, which increases with every change. It is also the `ETag`, which has a suffix while messages of the batch
    /// wait for an unavailable event bus.
    revision: i64,
    /// The number of the run, counted from 1.
    run: u32,
    /// Whether the batch is paused: no further phase starts until it is resumed.
    paused: bool,
    /// Whether the batch needs the attention of a person.
    needs_attention: bool,
    /// What needs attention; null if nothing does.
    attention: Option<AttentionDocument>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// When the latest run ended; null while it has not.
    ended_at: Option<DateTime<Utc>>,
    counts: Counts,
    /// All phases requested so far, in the order in which they run.
    phases: Vec<PhaseDocument>,
    /// What the batch waits for; null once it has ended.
    waiting_on: Option<WaitingDocument>,
    /// The status in one sentence, for people.
    sentence: String,
}

/// The status of a phase.
#[derive(Debug, Serialize, ToSchema)]
struct PhaseDocument {
    #[schema(schema_with = schemas::phase)]
    phase: Phase,
    #[schema(schema_with = schemas::phase_status)]
    status: PhaseStatus,
    /// The latest attempt, counted across runs; 0 before the first.
    attempt: u32,
    essay_counts: PhaseCounts,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    /// Why the phase failed, if this service decided so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::failure_code)]
    error_code: Option<FailureCode>,
    /// Whether the phase ended on the reports about its essays, because its outcome did not arrive.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    outcome_missing: bool,
    /// What the running phase waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_on: Option<WaitingDocument>,
}

/// The number of essays of a phase in each state, in the platform's terms.
#[derive(Debug, Serialize, ToSchema)]
struct PhaseCounts {
    total: u32,
    pending_dispatch_or_processing: u32,
    successful: u32,
    failed: u32,
}

/// What a batch or a phase waits for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct WaitingDocument {
    #[schema(schema_with = schemas::waiting_code)]
    code: WaitingCode,
    /// The number of texts, essays or messages, such as "6 essays", and how often what they wait for was sent again; empty if there
    /// is neither.
    detail: String,
    since: DateTime<Utc>,
    /// When the service checks again; null if it only waits.
    next_check_at: Option<DateTime<Utc>>,
    /// How often the command or the requests of the running phase were sent again, because they may be lost.
    #[serde(skip_serializing_if = "is_zero")]
    resends: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What needs the attention of a person.
#[derive(Debug, Serialize, ToSchema)]
struct AttentionDocument {
    #[schema(schema_with = schemas::attention_code)]
    code: AttentionCode,
    since: DateTime<Utc>,
}

impl StatusDocument {
    /// The document of a batch and its counts, both of one snapshot. `held` (messages that wait for the bus) takes precedence over
    /// the batch's own `waiting_on`, because what the batch waits for cannot happen before they are sent.
    pub(crate) fn new(status: &StatusRow, held: Option<HeldMessages>) -> Self {
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

impl WaitingDocument {
    fn on_bus(held: HeldMessages, batch: &Batch) -> Self {
        Self {
            code: WaitingCode::BusUnreachable,
            detail: messages(held.messages),
            since: held.since.map_or(batch.updated_at, |since| since.max(batch.updated_at)),
            next_check_at: None,
            resends: 0,
        }
    }
}

/// The number of awaited texts or essays, such as "6 essays".
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

fn detail(waiting: &WaitingOn) -> String {
    let essays = waiting.essays.map(|essays| counted(essays, waiting.code));
    let again = match waiting.resends {
        0 => None,
        1 => Some("sent again once".to_owned()),
        times => Some(format!("sent again {times} times")),
    };
    essays.into_iter().chain(again).collect::<Vec<_>>().join(", ")
}

impl From<&WaitingOn> for WaitingDocument {
    fn from(waiting: &WaitingOn) -> Self {
        Self {
            code: waiting.code,
            detail: detail(waiting),
            since: waiting.since,
            next_check_at: waiting.next_check_at,
            resends: waiting.resends,
        }
    }
}
