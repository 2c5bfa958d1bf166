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
        for shard in shards.now() {
            match turn(&engine, shard).await {
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, shard, "timers wait"),
            }
        }
        tokio::select! {
            () = engine.signals.timers.notified() => {}
            () = engine.clock.sleep(engine.settings.timer_period) => {}
            () = end.cancelled() => return,
        }
    }
}

async fn turn(engine: &Arc<Engine>, shard: i64) -> Result<(), Error> {
    loop {
        let due = engine
            .store
            .read(move |tx| Box::pin(async move { tx.due_timers(shard, tx.now(), TURN).await }))
            .await?;
        if due.is_empty() {
            return Ok(());
        }
        engine.crash.at(CrashPoint::TimerFired)?;
        for row in due {
            metrics::count(metrics::DEADLINES, Some(("timer", row.timer.kind.as_str())), 1);
            let cause = Cause { origin: Origin::Task("timers"), correlation: None };
            // The unit takes the row away, whatever is decided: a timer that meant an older attempt must not fire for ever.
            engine.apply(row.batch, News::DeadlinePassed(row.timer), cause).await?;
        }
    }
}
