//! Due rows → [`News::DeadlinePassed`].

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{Cause, CrashPoint, Engine, Error, News, Origin, Shards, metrics};

/// Timers fired in one turn, at most.
const TURN: u32 = 200;

/// Fires timers until `end`, which does not wait for all that are due: after a flood there are many.
pub async fn run(engine: Arc<Engine>, mut shards: Shards, end: CancellationToken) {
    shards.some().await;
    while !end.is_cancelled() {
        match fire(&engine, &shards.now()).await {
            Ok(fired) if fired >= TURN as usize => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "timers wait"),
        }
        tokio::select! {
            () = engine.clock.sleep(engine.settings.timer_period) => {}
            () = end.cancelled() => {}
        }
    }
}

/// Fires timers of these shards that are due, the longest overdue first, and says how many; fewer than a turn takes are all.
///
/// # Errors
/// When the store does not answer. One batch that cannot be changed keeps its own timer, and holds up nobody else's.
pub async fn fire(engine: &Engine, shards: &[i64]) -> Result<usize, Error> {
    let of = shards.to_vec();
    let due = engine
        .store
        .read(move |tx| Box::pin(async move { tx.due_timers(&of, tx.now(), TURN).await }))
        .await?;
    if due.is_empty() {
        return Ok(0);
    }
    engine.crash.at(CrashPoint::TimerFired)?;
    for row in &due {
        metrics::count(metrics::DEADLINES, Some(("timer", row.timer.kind.as_str())), 1);
    }
    let fired = due.len();
    // The unit takes the row away, whatever is decided: a timer that meant an older attempt must not fire for ever.
    let cause = || Cause { origin: Origin::Task("timers"), correlation: None, trace: None };
    let news: Vec<_> = due.into_iter().map(|row| (row.batch, News::DeadlinePassed(row), cause())).collect();
    match engine.apply_many(news.clone()).await {
        Ok(_) => return Ok(fired),
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => tracing::warn!(%error, "deadlines are dealt with one by one"),
    }
    let mut failed = None;
    for (batch, news, cause) in news {
        match engine.apply(batch, news, cause).await {
            Ok(_) => {}
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                tracing::error!(%error, batch.id = %batch, "the deadline of a batch cannot be dealt with");
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(fired), Err)
}
