//! A batch as a caller reads it.

use domain::{BatchStatus, Phase, Stage};

/// What one reading of a batch has shown.
#[derive(Debug, Clone)]
pub struct ObservedBatch {
    /// Its revision.
    pub revision: i64,
    /// The number of its run.
    pub run: u32,
    /// Its status.
    pub status: BatchStatus,
    /// It is paused: no phase begins until it is resumed.
    pub paused: bool,
    /// Its stage.
    pub stage: Stage,
    /// Every essay has a result, and the next phase waits for the outcome or for a resume request.
    pub is_outcome_overdue: bool,
    /// Some of its essays have succeeded in every phase while others are in progress.
    pub is_half_done: bool,
    /// The phases asked for, with the attempt at each.
    pub phases: Vec<(Phase, u32)>,
}

impl ObservedBatch {
    /// Whether its run is over.
    pub fn is_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended { .. })
    }

    /// The rank of its status within a run, which must never fall. A batch that is paused between two phases has the same
    /// status as one that has not begun.
    pub const fn rank(&self) -> u8 {
        match self.status {
            BatchStatus::PendingContent => 0,
            BatchStatus::Ready => 1,
            BatchStatus::Processing => 2,
            BatchStatus::CompletedSuccessfully
            | BatchStatus::CompletedWithFailures
            | BatchStatus::Failed
            | BatchStatus::Cancelled => 3,
        }
    }
}
