//! Measures the depth of every queue, for admission control and for the metrics.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use store::{OutboxDepth, QueueDepth, StagedDepth, Store};
use tokio_util::sync::CancellationToken;

use crate::{Engine, Error, metrics};

/// The shortest pause between two measurements.
const PERIOD: Duration = Duration::from_secs(1);
/// Long queues take long to count. The pause is at least this many times the duration of the last measurement, so that counting
/// takes at most a twentieth of the time.
const PAUSE_FACTOR: u32 = 20;

/// Measures the queues until `end`.
pub async fn run(engine: Arc<Engine>, end: CancellationToken) {
    loop {
        let started = engine.clock.monotonic();
        if let Err(error) = measure(&engine).await {
            tracing::debug!(%error, "cannot measure the depth of the queues");
        }
        let took = engine.clock.monotonic().saturating_sub(started);
        let pause = PERIOD.max(took.saturating_mul(PAUSE_FACTOR));
        tokio::select! {
            () = engine.clock.sleep(pause) => {}
            () = end.cancelled() => return,
        }
    }
}

/// The depths of all queues of the service.
#[derive(Debug, Clone, Copy)]
pub struct Queues {
    /// Texts that wait to be stored at the Content Service.
    pub staged: StagedDepth,
    /// Messages that wait to be sent to the bus.
    pub outbox: OutboxDepth,
    /// Timers that are due and have not fired.
    pub timers: QueueDepth,
    /// Dead letters.
    pub dead_letters: QueueDepth,
    /// When the depths were read, by the database's clock.
    pub at: DateTime<Utc>,
}

impl Queues {
    /// Reads the depths over all shards.
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
    engine.admission.set_depths(staged.bytes, outbox.pending);
    let age = |oldest: Option<DateTime<Utc>>| oldest.map(|at| now - at);
    metrics::depth("staged_texts", staged.rows, Some(staged.bytes), age(staged.oldest_at));
    metrics::depth("outbox", outbox.pending, None, age(outbox.oldest_at));
    metrics::depth("outbox_parked", outbox.parked, None, age(outbox.oldest_parked_at));
    metrics::depth("timers_overdue", timers.rows, None, age(timers.oldest_at));
    metrics::depth("dead_letters", dead_letters.rows, None, age(dead_letters.oldest_at));
    Ok(())
}
