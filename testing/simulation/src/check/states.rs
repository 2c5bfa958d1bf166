//! What callers see, one revision after the other: I7.

use anyhow::{Context as _, Result};
use domain::{BatchId, BatchStatus, Stage};
use store::{StatusRow, Store};

use super::{Check, Invariant};
use crate::client::owner;

/// A batch as it was last seen.
#[derive(Debug, Clone)]
pub struct Seen {
    revision: i64,
    run: u32,
    status: BatchStatus,
    /// Nobody is to begin a phase.
    pub paused: bool,
    /// Where it is in its life.
    pub stage: Stage,
    /// Some of its essays are through with everything, and others at work.
    pub is_half_done: bool,
    /// Phases asked for, with the attempt at each.
    pub phases: Vec<(domain::Phase, u32)>,
}

impl Seen {
    /// Whether its run is over.
    pub fn is_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended { .. })
    }

    /// How far it is within its run. A batch that is paused between two phases and one that never began one are alike to it.
    const fn rank(&self) -> u8 {
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

impl Check {
    /// Reads every batch that has a new revision, as its owner would.
    pub(super) async fn look_at_states(&mut self, store: &Store) -> Result<()> {
        for (id, revision, _) in self.eye.batches()? {
            let batch = BatchId::from_uuid(id)?;
            if self.states.get(&batch).is_some_and(|seen| seen.revision == revision) {
                continue;
            }
            let status = store.peek(move |tx| Box::pin(async move { tx.status_row(&owner(), batch).await }));
            let status = status.await?.context("a batch that is there can be read")?;
            self.look_at_state(batch, &status);
        }
        Ok(())
    }

    fn look_at_state(&mut self, batch: BatchId, status: &StatusRow) {
        let state = &status.row.batch;
        let now = Seen {
            revision: state.revision,
            run: state.run,
            status: state.status(),
            paused: state.paused,
            stage: state.stage.clone(),
            is_half_done: status.counts.succeeded > 0 && status.counts.in_progress > 0,
            phases: state.phases.iter().map(|record| (record.phase, record.attempt)).collect(),
        };
        let (counts, open) =
            (status.counts, if let Stage::Running(running) = &state.stage { running.open } else { 0 });
        let of_rows = (counts.total(), counts.waiting, counts.in_progress, counts.succeeded, counts.failed);
        let of_batch = (state.total, state.waiting, open, state.succeeded, state.failed);
        self.findings.hold(Invariant::I7, of_rows == of_batch, || {
            format!("{batch} counts {of_batch:?} and its rows say {of_rows:?} (revision {})", now.revision)
        });
        if let Some(before) = self.states.get(&batch) {
            let goes_on =
                (before.run, before.rank()) <= (now.run, now.rank()) && before.revision < now.revision;
            let has_two_ends = before.run == now.run && before.is_ended() && before.status != now.status;
            self.findings.hold(Invariant::I7, goes_on && !has_two_ends, || {
                format!("{batch} went from {before:?} to {now:?}")
            });
        }
        self.states.insert(batch, now);
    }
}
