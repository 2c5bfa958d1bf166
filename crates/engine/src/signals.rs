//! Signals to the background tasks, and to requests that wait for a batch to change.
//!
//! A signal is only a hint: the tables are the truth, and a lost signal costs one period of waiting.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use domain::BatchId;
use tokio::sync::{Notify, watch};

/// One signal for each task that does not run by the clock alone, and one for each batch that is watched.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    pub(crate) ingest: Notify,
    pub(crate) relay: Notify,
    /// Shards to whose outbox this process has written and whose rows its relay has not read since.
    written: Mutex<BTreeSet<i64>>,
    watched: Mutex<HashMap<BatchId, watch::Sender<i64>>>,
}

impl Signals {
    /// Signals the relay that the outbox has new rows in these shards.
    pub(crate) fn outbox_written(&self, shards: impl IntoIterator<Item = i64>) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend(shards);
        drop(written);
        self.relay.notify_one();
    }

    /// Takes the shards that were signalled since the last call.
    pub(crate) fn take_written(&self) -> BTreeSet<i64> {
        std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Signals those who watch the batch that it has a new revision.
    pub(crate) fn batch_changed(&self, batch: BatchId, revision: i64) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watched.get(&batch)
            && sender.send(revision).is_err()
        {
            watched.remove(&batch);
        }
    }

    /// Subscribes to the batch's revisions from now on.
    pub(crate) fn subscribe(&self, batch: BatchId) -> watch::Receiver<i64> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|id, sender| *id == batch || sender.receiver_count() > 0);
        watched.entry(batch).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }
}
