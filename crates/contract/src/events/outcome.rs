//! The outcome of a phase, from ELS.

use serde::Serialize;
use uuid::Uuid;

use crate::envelope::payload;
use crate::parts::EssayRef;
use crate::status::{OutcomeStatus, PhaseName};

/// A phase of a batch has ended, on [`Topic::BatchPhaseOutcome`](crate::Topic::BatchPhaseOutcome). 2026 only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ElsBatchPhaseOutcome<'a> {
    batch_id: Uuid,
    phase_name: PhaseName,
    phase_status: OutcomeStatus,
    processed_essays: &'a [EssayRef],
    failed_essay_ids: &'a [Uuid],
    correlation_id: Uuid,
}

payload!(ElsBatchPhaseOutcome<'_>, "ELSBatchPhaseOutcomeV1");

impl<'a> ElsBatchPhaseOutcome<'a> {
    /// The event: the essays that succeeded, with their new texts, and those that failed. Its status follows from the two
    /// counts.
    pub const fn new(
        batch_id: Uuid,
        phase: PhaseName,
        processed: &'a [EssayRef],
        failed: &'a [Uuid],
        correlation_id: Uuid,
    ) -> Self {
        Self {
            batch_id,
            phase_name: phase,
            phase_status: OutcomeStatus::from_counts(processed.len(), failed.len()),
            processed_essays: processed,
            failed_essay_ids: failed,
            correlation_id,
        }
    }
}
