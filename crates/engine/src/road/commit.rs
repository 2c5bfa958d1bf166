//! What a committed unit causes: readers and tasks are woken.

use store::Tx;

use super::Engine;
use super::change::Saved;
use crate::error::Error;
use crate::ports::LocalBroker;
use crate::ports::local_broker::Moved;

/// What has to be signalled once a unit is committed.
pub(super) struct Committed {
    saved: Vec<Saved>,
    /// What the unit moved onto the embedded bus; `None` without an embedded bus or without messages.
    moved: Option<Moved>,
}

impl Committed {
    /// Completes a unit. With an embedded bus it also moves the unit's messages from the outbox onto the log, so that one COMMIT
    /// suffices instead of two.
    pub(super) async fn new(tx: &mut Tx, saved: Vec<Saved>, embedded_bus: bool) -> Result<Self, Error> {
        let sends = saved.iter().any(|batch| batch.sends);
        let moved = if embedded_bus && sends { Some(LocalBroker::move_outbox_in(tx).await?) } else { None };
        Ok(Self { saved, moved })
    }
}

impl Engine {
    /// Signals what was committed: to those who watch the batches, to the relay, and to the readers of the embedded bus.
    pub(super) fn wake(&self, committed: &Committed) {
        for batch in &committed.saved {
            self.signals.batch_changed(batch.batch, batch.revision);
        }
        if let (Some(bus), Some(moved)) = (&self.bus, committed.moved) {
            bus.notify_readers(moved);
            if moved.may_leave_rows() {
                self.signals.relay.notify_one();
            }
        } else if committed.saved.iter().any(|batch| batch.sends) {
            let sending = committed.saved.iter().filter(|batch| batch.sends);
            self.signals.outbox_written(sending.map(|batch| batch.shard));
        }
    }
}
