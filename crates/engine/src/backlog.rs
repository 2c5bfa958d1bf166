//! How much waits to leave, and when new work is refused because of it.
//!
//! The figures are read from the tables once a second and moved by hand in between, so that accepting an essay costs no count.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use store::{OutboxDepth, QueueDepth, StagedDepth, Store};
use tokio_util::sync::CancellationToken;

use crate::{Engine, Error, metrics};

/// How often the depths are read.
const PERIOD: Duration = Duration::from_secs(1);
/// A long queue takes long to count: the pause after it is so many times as long, so that counting stays a small part.
const PAUSE_FACTOR: u32 = 20;

/// Reads the depths of the queues until `end`, for the caps and for the metrics.
pub async fn run(engine: Arc<Engine>, end: CancellationToken) {
    loop {
        let started = engine.clock.monotonic();
        if let Err(error) = measure(&engine).await {
            tracing::debug!(%error, "the depth of the queues could not be read");
        }
        let took = engine.clock.monotonic().saturating_sub(started);
        let pause = PERIOD.max(took.saturating_mul(PAUSE_FACTOR));
        tokio::select! {
            () = engine.clock.sleep(pause) => {}
            () = end.cancelled() => return,
        }
    }
}

/// What waits in every queue of the service.
#[derive(Debug, Clone, Copy)]
pub struct Queues {
    /// Texts on their way to the Content Service.
    pub staged: StagedDepth,
    /// Messages on their way to the bus.
    pub outbox: OutboxDepth,
    /// Timers that are due and have not fired.
    pub timers: QueueDepth,
    /// Messages set aside.
    pub dead_letters: QueueDepth,
    /// When this was so.
    pub at: DateTime<Utc>,
}

impl Queues {
    /// Reads what waits, over all shards.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn read(store: &Store) -> Result<Self, store::Error> {
        let queues = store.read(|tx| {
            Box::pin(async move {
                Ok(Self {
                    staged: tx.staged_depth().await?,
                    outbox: tx.outbox_depth().await?,
                    timers: tx.overdue_timers().await?,
                    dead_letters: tx.dead_letter_depth().await?,
                    at: tx.now(),
                })
            })
        });
        queues.await
    }
}

async fn measure(engine: &Engine) -> Result<(), Error> {
    let Queues { staged, outbox, timers, dead_letters, at: now } = Queues::read(&engine.store).await?;
    engine.backlog.set(staged.bytes, outbox.pending);
    let age = |oldest: Option<DateTime<Utc>>| oldest.map(|at| now - at);
    metrics::depth("staged_texts", staged.rows, Some(staged.bytes), age(staged.oldest_at));
    metrics::depth("outbox", outbox.pending, None, age(outbox.oldest_at));
    metrics::depth("outbox_parked", outbox.parked, None, age(outbox.oldest_parked_at));
    metrics::depth("timers_overdue", timers.rows, None, age(timers.oldest_at));
    metrics::depth("dead_letters", dead_letters.rows, None, age(dead_letters.oldest_at));
    Ok(())
}

/// The depth of the queues, roughly.
#[derive(Debug)]
pub struct Backlog {
    staged_bytes: AtomicI64,
    outbox_rows: AtomicI64,
    staged_cap: i64,
    outbox_cap: i64,
    resume_percent: i64,
    full: AtomicBool,
}

impl Backlog {
    pub(crate) fn new(staged_cap: u64, outbox_cap: u64, resume_percent: u16) -> Self {
        let cap = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Self {
            staged_bytes: AtomicI64::new(0),
            outbox_rows: AtomicI64::new(0),
            staged_cap: cap(staged_cap),
            outbox_cap: cap(outbox_cap),
            resume_percent: i64::from(resume_percent),
            full: AtomicBool::new(false),
        }
    }

    /// Refuses new work while a queue is over its cap; opens again at a percentage of it.
    pub(crate) fn admit(&self, bytes: usize) -> Result<(), Error> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let staged = self.staged_bytes.load(Ordering::Relaxed).saturating_add(bytes);
        let outbox = self.outbox_rows.load(Ordering::Relaxed);
        let full = self.full.load(Ordering::Relaxed);
        // Divided first: a cap may be so large that it cannot be multiplied.
        let resume = |cap: i64| cap / 100 * self.resume_percent + cap % 100 * self.resume_percent / 100;
        let over = |depth: i64, cap: i64| depth > if full { resume(cap) } else { cap };
        let what = if over(staged, self.staged_cap) {
            Some("staged texts")
        } else if over(outbox, self.outbox_cap) {
            Some("outbox rows")
        } else {
            None
        };
        self.full.store(what.is_some(), Ordering::Relaxed);
        what.map_or(Ok(()), |what| Err(Error::BacklogFull { what }))
    }

    pub(crate) fn staged(&self, bytes: usize) {
        self.staged_bytes.fetch_add(i64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }

    pub(crate) fn set(&self, staged_bytes: i64, outbox_rows: i64) {
        self.staged_bytes.store(staged_bytes, Ordering::Relaxed);
        self.outbox_rows.store(outbox_rows, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_backlog_refuses_until_it_has_fallen_to_the_percentage() {
        let backlog = Backlog::new(100, 10, 60);
        assert!(backlog.admit(100).is_ok());
        backlog.set(100, 0);
        assert!(matches!(backlog.admit(1), Err(Error::BacklogFull { what: "staged texts" })));
        backlog.set(61, 0);
        assert!(backlog.admit(0).is_err(), "61 of 100 is still too much once it was full");
        backlog.set(60, 0);
        assert!(backlog.admit(0).is_ok());
        backlog.set(0, 11);
        assert!(matches!(backlog.admit(0), Err(Error::BacklogFull { what: "outbox rows" })));
    }
}
