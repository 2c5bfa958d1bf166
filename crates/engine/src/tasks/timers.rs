//! Due timers → [`News::DeadlinePassed`].

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::shards::Shards;
use crate::crash::CrashPoint;
use crate::error::Error;
use crate::metrics;
use crate::news::{BatchNews, Cause, News, Origin};
use crate::road::Engine;

/// Timers in one turn, at most.
const TURN: u32 = 200;

/// Fires timers until `end`, even if more are due then.
pub async fn run(engine: Arc<Engine>, mut shards: Shards, end: CancellationToken) {
    shards.wait_for_any().await;
    while !end.is_cancelled() {
        match fire(&engine, &shards.held()).await {
            Ok(fired) if fired >= TURN as usize => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot fire timers; retrying"),
        }
        tokio::select! {
            () = engine.clock.sleep(engine.settings.timer_period) => {}
            () = end.cancelled() => {}
        }
    }
}

/// Fires due timers of these shards, the longest overdue first, at most 200. Returns how many.
///
/// # Errors
/// When the store does not answer, or a batch's row cannot be read. Such a batch keeps its timer; the others are fired all the
/// same.
pub async fn fire(engine: &Engine, shards: &[i64]) -> Result<usize, Error> {
    let shards = shards.to_vec();
    let due = engine
        .store
        .read(move |tx| Box::pin(async move { tx.due_timers(&shards, tx.now(), TURN).await }))
        .await?;
    if due.is_empty() {
        return Ok(0);
    }
    engine.crash.at(CrashPoint::TimerFired)?;
    for row in &due {
        metrics::count(metrics::DEADLINES, Some(("timer", row.timer.kind.as_str())), 1);
    }
    let fired = due.len();
    // The unit deletes the timer whatever is decided, so that a timer of an older attempt does not fire for ever.
    let cause = || Cause { origin: Origin::Task("timers"), correlation: None, trace: None };
    let news: Vec<_> = due
        .into_iter()
        .map(|row| BatchNews { batch: row.batch, news: News::DeadlinePassed(row), cause: cause() })
        .collect();
    match engine.apply_many(news.clone()).await {
        Ok(_) => return Ok(fired),
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => tracing::warn!(%error, "cannot fire timers together; firing them one at a time"),
    }
    let mut failed = None;
    for BatchNews { batch, news, cause } in news {
        match engine.apply(batch, news, cause).await {
            Ok(_) => {}
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                tracing::error!(%error, batch.id = %batch, "cannot fire the timer of a batch");
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(fired), Err)
}
