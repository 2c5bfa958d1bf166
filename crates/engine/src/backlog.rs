//! How much waits to leave, and when new work is refused because of it.
//!
//! The figures are read from the tables once a second and moved by hand in between, so that accepting an essay costs no count.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{Engine, Error, metrics};

/// How often the depths are read.
const PERIOD: Duration = Duration::from_secs(1);

/// Reads the depths of the queues until `end`, for the caps and for the metrics.
pub async fn run(engine: Arc<Engine>, end: CancellationToken) {
    loop {
        if let Err(error) = measure(&engine).await {
            tracing::debug!(%error, "the depth of the queues could not be read");
        }
        tokio::select! {
            () = engine.clock.sleep(PERIOD) => {}
            () = end.cancelled() => return,
        }
    }
}

async fn measure(engine: &Engine) -> Result<(), Error> {
    let (staged, outbox, now) = engine
        .store
        .read(|tx| {
            Box::pin(
                async move { Ok::<_, Error>((tx.staged_depth().await?, tx.outbox_depth().await?, tx.now())) },
            )
        })
        .await?;
    engine.backlog.set(staged.bytes, outbox.pending);
    metrics::depth("staged_texts", staged.rows, Some(staged.bytes), None);
    metrics::depth("outbox", outbox.pending, None, outbox.oldest_at.map(|at| now - at));
    metrics::depth("outbox_parked", outbox.parked, None, None);
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
