//! Due rows → [`News::DeadlinePassed`].

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{Cause, CrashPoint, Engine, Error, News, Origin, Shards, metrics};

/// Timers fired in one turn.
const TURN: u32 = 200;

/// Fires timers until `end`.
pub async fn run(engine: Arc<Engine>, mut shards: Shards, end: CancellationToken) {
    shards.some().await;
    loop {
        if let Err(error) = fire(&engine, &shards.now()).await {
            tracing::warn!(%error, "timers wait");
        }
        tokio::select! {
            () = engine.clock.sleep(engine.settings.timer_period) => {}
            () = end.cancelled() => return,
        }
    }
}

/// Fires every timer of these shards that is due, the longest overdue first.
///
/// # Errors
/// When the store does not answer. One batch that cannot be changed keeps its own timer, and holds up nobody else's.
pub async fn fire(engine: &Engine, shards: &[i64]) -> Result<(), Error> {
    loop {
        let of = shards.to_vec();
        let due = engine
            .store
            .read(move |tx| Box::pin(async move { tx.due_timers(&of, tx.now(), TURN).await }))
            .await?;
        if due.is_empty() {
            return Ok(());
        }
        let mut failed = None;
        engine.crash.at(CrashPoint::TimerFired)?;
        for row in due {
            metrics::count(metrics::DEADLINES, Some(("timer", row.timer.kind.as_str())), 1);
            let cause = Cause { origin: Origin::Task("timers"), correlation: None, trace: None };
            let batch = row.batch;
            // The unit takes the row away, whatever is decided: a timer that meant an older attempt must not fire for ever.
            match engine.apply(batch, News::DeadlinePassed(row), cause).await {
                Ok(_) => {}
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    tracing::error!(%error, batch.id = %batch, "the deadline of a batch cannot be dealt with");
                    failed = Some(error);
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
    }
}
