//! Hints to the background tasks and to whoever waits for a batch to change. The tables are the truth: a hint that is lost
//! costs a period of waiting and nothing else.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use domain::BatchId;
use tokio::sync::{Notify, watch};

/// One wake-up bell for each task that is not led by a clock, and one per batch that somebody watches.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    pub(crate) ingest: Notify,
    pub(crate) relay: Notify,
    /// Shards whose outbox this process has written to and its relay has not looked at since.
    written: Mutex<BTreeSet<i64>>,
    watched: Mutex<HashMap<BatchId, watch::Sender<i64>>>,
}

impl Signals {
    /// Tells the relay that there is something to send in these shards.
    pub(crate) fn sends(&self, shards: impl IntoIterator<Item = i64>) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend(shards);
        drop(written);
        self.relay.notify_one();
    }

    /// The shards that were named since the last call.
    pub(crate) fn take_written(&self) -> BTreeSet<i64> {
        std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells whoever watches the batch that it has a new revision.
    pub(crate) fn changed(&self, batch: BatchId, revision: i64) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watched.get(&batch)
            && sender.send(revision).is_err()
        {
            watched.remove(&batch);
        }
    }

    /// A receiver of the batch's revisions from now on.
    pub(crate) fn watch(&self, batch: BatchId) -> watch::Receiver<i64> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|id, sender| *id == batch || sender.receiver_count() > 0);
        watched.entry(batch).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }
}
