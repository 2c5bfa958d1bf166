//! Due timers → [`News::DeadlinePassed`].

use std::sync::Arc;

use store::{DueTimer, FiredBy};
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

/// Fires due timers of these shards, the longest overdue first, at most 200. Returns how many. Where the lifecycle service can be
/// asked, [`super::inquiry`] fires those that it can say something about.
///
/// # Errors
/// When the store does not answer, or a batch's row cannot be read. Such a batch keeps its timer; the others are fired all the
/// same.
pub async fn fire(engine: &Engine, shards: &[i64]) -> Result<usize, Error> {
    let by = if engine.settings.rules.asks_lifecycle { FiredBy::Timers } else { FiredBy::Any };
    let due = due(engine, shards, by, TURN).await?;
    fire_all(engine, due.into_iter().map(News::DeadlinePassed).collect()).await
}

/// The due timers of these shards that the task fires.
pub(super) async fn due(
    engine: &Engine,
    shards: &[i64],
    by: FiredBy,
    limit: u32,
) -> Result<Vec<DueTimer>, Error> {
    let shards = shards.to_vec();
    let due = engine
        .store
        .read(move |tx| Box::pin(async move { tx.due_timers(&shards, tx.now(), by, limit).await }))
        .await?;
    Ok(due)
}

/// Applies the news of due timers. Returns how many.
pub(super) async fn fire_all(engine: &Engine, news: Vec<News>) -> Result<usize, Error> {
    if news.is_empty() {
        return Ok(0);
    }
    engine.crash.at(CrashPoint::TimerFired)?;
    let fired = news.len();
    // The unit deletes the timer whatever is decided, so that a timer of an older attempt does not fire for ever.
    let cause = || Cause { origin: Origin::Task("timers"), correlation: None, trace: None };
    let news: Vec<_> = news
        .into_iter()
        .filter_map(|news| {
            let (News::DeadlinePassed(due) | News::LifecycleAnswered { due, .. }) = &news else {
                return None;
            };
            metrics::count(metrics::DEADLINES, Some(("timer", due.timer.kind.as_str())), 1);
            Some(BatchNews { batch: due.batch, news, cause: cause() })
        })
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
