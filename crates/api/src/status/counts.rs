//! The essays of a batch, counted by state.

use serde::Serialize;
use store::EssayCounts;
use utoipa::ToSchema;

/// The number of essays of a batch in each state. The states sum to `total`.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Counts {
    /// All essays of the batch.
    pub(crate) total: u32,
    /// Waiting for the text to be stored, for the next phase, or for a start request.
    pub(crate) waiting: u32,
    /// In the running phase.
    pub(crate) in_progress: u32,
    /// Succeeded in all requested phases.
    pub(crate) succeeded: u32,
    /// Failed in a phase, or the text was refused.
    pub(crate) failed: u32,
    /// Not finished when the batch was cancelled.
    pub(crate) cancelled: u32,
    /// Never processed, because the batch ended before a phase started.
    pub(crate) skipped: u32,
}

impl From<EssayCounts> for Counts {
    fn from(counts: EssayCounts) -> Self {
        let EssayCounts { waiting, in_progress, succeeded, failed, cancelled, skipped } = counts;
        Self { total: counts.total(), waiting, in_progress, succeeded, failed, cancelled, skipped }
    }
}
