//! Timeline entries, computed from the difference between two states, so that the timeline cannot contradict the state.

use super::effect::Entry;
use crate::batch::Batch;

/// The entries for the change from `before` to `after`: phases, then essay counts, then the batch, then its end.
pub(super) fn entries(before: Option<&Batch>, after: &Batch) -> Vec<Entry> {
    let mut entries = Vec::new();
    for record in &after.phases {
        let old = before.and_then(|batch| batch.record(record.phase));
        if old.map(|old| (old.status, old.attempt)) != Some((record.status, record.attempt)) {
            entries.push(Entry::PhaseChanged {
                run: after.run,
                phase: record.phase,
                attempt: record.attempt,
                status: record.status,
            });
        }
    }
    for record in &after.phases {
        let old = before.and_then(|batch| batch.record(record.phase)).map(|old| (old.succeeded, old.failed));
        if old.unwrap_or_default() != (record.succeeded, record.failed) {
            entries.push(Entry::EssaysCounted {
                phase: record.phase,
                attempt: record.attempt,
                total: record.total,
                succeeded: record.succeeded,
                failed: record.failed,
            });
        }
    }
    let changed = batch_changed(after);
    if before.map(batch_changed).as_ref() != Some(&changed) {
        entries.push(changed);
    }
    if after.is_ended() && !before.is_some_and(Batch::is_ended) {
        entries.push(Entry::BatchEnded {
            run: after.run,
            status: after.status(),
            total: after.total,
            succeeded: after.succeeded,
            failed: after.failed,
        });
    }
    entries
}

fn batch_changed(batch: &Batch) -> Entry {
    Entry::BatchChanged {
        run: batch.run,
        status: batch.status(),
        paused: batch.paused,
        cancelling: batch.is_cancelling(),
        waiting_on: batch.waiting_on.as_ref().map(|waiting_on| waiting_on.code),
        attention: batch.attention.map(|attention| attention.code),
        total: batch.total,
        stored: batch.stored,
        failed: batch.failed,
    }
}
