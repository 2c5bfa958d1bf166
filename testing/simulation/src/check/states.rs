//! Checks of what callers read, one revision after the other: I7.

use anyhow::{Context as _, Result};
use domain::{BatchId, Stage};
use invariants::Invariant;
use store::{StatusRow, Store};

use super::Check;
use crate::client::owner;
use crate::observed::ObservedBatch;

impl Check {
    /// Reads every batch that has a new revision, as its owner would, and checks it.
    pub(super) async fn check_states(&mut self, store: &Store) -> Result<()> {
        for (id, revision, _) in self.database.batches()? {
            let batch = BatchId::from_uuid(id)?;
            if self.states.get(&batch).is_some_and(|seen| seen.revision == revision) {
                continue;
            }
            let status = store.peek(move |tx| Box::pin(async move { tx.status_row(&owner(), batch).await }));
            let status = status.await?.context("a batch that exists can be read")?;
            self.check_state(batch, &status);
        }
        Ok(())
    }

    fn check_state(&mut self, batch: BatchId, status: &StatusRow) {
        let state = &status.row.batch;
        let now = ObservedBatch {
            revision: state.revision,
            run: state.run,
            status: state.status(),
            paused: state.paused,
            stage: state.stage.clone(),
            is_outcome_overdue: state.is_outcome_overdue(),
            is_half_done: status.counts.succeeded > 0 && status.counts.in_progress > 0,
            phases: state.phases.iter().map(|record| (record.phase, record.attempt)).collect(),
        };
        let (counts, open) =
            (status.counts, if let Stage::Running(running) = &state.stage { running.open } else { 0 });
        let of_rows = (counts.total(), counts.waiting, counts.in_progress, counts.succeeded, counts.failed);
        let of_batch = (state.total, state.waiting, open, state.succeeded, state.failed);
        let location = || format!("batch {batch}, revision {}", now.revision);
        self.findings.check(Invariant::I7, of_rows == of_batch, || {
            (location(), format!("its counts are {of_batch:?} and those of its rows are {of_rows:?}"))
        });
        if let Some(before) = self.states.get(&batch) {
            let is_forward =
                (before.run, before.rank()) <= (now.run, now.rank()) && before.revision < now.revision;
            let has_two_ends = before.run == now.run && before.is_ended() && before.status != now.status;
            self.findings.check(Invariant::I7, is_forward && !has_two_ends, || {
                (location(), format!("it went from {before:?} to {now:?}"))
            });
        }
        self.states.insert(batch, now);
    }
}
