//! How the status document is made.

use client::documents::{
    AttentionDocument, Counts, PhaseCounts, PhaseDocument, StatusDocument, WaitingDocument,
};
use domain::{Batch, PhaseRecord, WaitingCode, WaitingOn};
use store::{EssayCounts, StatusRow};

use super::HeldMessages;
use super::sentence::{messages, sentence};

/// The document of a batch and its counts, both of one snapshot. `held` (messages that wait for the bus) takes precedence over the
/// batch's own `waiting_on`, because what the batch waits for cannot happen before they are sent.
pub(crate) fn document(status: &StatusRow, held: Option<HeldMessages>) -> StatusDocument {
    let batch = &status.row.batch;
    let held = held.filter(|_| !batch.is_ended());
    let counts = counts(status.counts);
    let waiting_on = held.map(|held| on_bus(held, batch)).or_else(|| batch.waiting_on.as_ref().map(waiting));
    StatusDocument {
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

fn counts(counts: EssayCounts) -> Counts {
    let EssayCounts { waiting, in_progress, succeeded, failed, cancelled, skipped } = counts;
    Counts { total: counts.total(), waiting, in_progress, succeeded, failed, cancelled, skipped }
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
            essay_counts: phase_counts(record),
            started_at: record.started_at,
            completed_at: record.completed_at,
            error_code: record.error_code,
            outcome_missing: record.outcome_missing,
            waiting_on: waiting_on.filter(|_| current == Some(record.phase)).cloned(),
        })
        .collect()
}

fn phase_counts(record: &PhaseRecord) -> PhaseCounts {
    PhaseCounts {
        total: record.total,
        pending_dispatch_or_processing: record.pending(),
        successful: record.succeeded,
        failed: record.failed,
    }
}

fn on_bus(held: HeldMessages, batch: &Batch) -> WaitingDocument {
    WaitingDocument {
        code: WaitingCode::BusUnreachable,
        detail: messages(held.messages),
        since: held.since.map_or(batch.updated_at, |since| since.max(batch.updated_at)),
        next_check_at: None,
        resends: 0,
    }
}

fn waiting(waiting: &WaitingOn) -> WaitingDocument {
    WaitingDocument {
        code: waiting.code,
        detail: detail(waiting),
        since: waiting.since,
        next_check_at: waiting.next_check_at,
        resends: waiting.resends,
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
