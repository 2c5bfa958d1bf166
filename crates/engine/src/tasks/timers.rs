//! Due timers → [`News::DeadlinePassed`].

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use store::{DueTimer, FiredBy, LowWaterMark};
use tokio_util::sync::CancellationToken;

use super::low_water_marks::LowWaterMarks;
use super::shards::Shards;
use crate::crash::CrashPoint;
use crate::error::Error;
use crate::metrics;
use crate::news::{BatchNews, Cause, News, Origin};
use crate::road::Engine;

/// Timers in one turn, at most.
const TURN: u32 = 200;
/// The period after which the low-water marks are forgotten: 1 min, chosen. A deadline that an operator sets by hand to a time long
/// past may wait for so long.
const MARKS_PERIOD: Duration = Duration::from_mins(1);
/// The marks stay this far behind the database's clock, because a deadline commits later than it is set: 1 min, far more than a
/// transaction lasts.
const COMMIT_MARGIN: Duration = Duration::from_mins(1);

/// The state of the task between turns: where in the table it starts to read.
#[derive(Debug)]
pub struct TimersState {
    /// Per shard, the earliest time at which a timer may be due.
    marks: LowWaterMarks<DateTime<Utc>>,
}

impl Default for TimersState {
    fn default() -> Self {
        Self { marks: LowWaterMarks::new(MARKS_PERIOD) }
    }
}

/// Fires timers until `end`, even if more are due then.
pub async fn run(engine: Arc<Engine>, mut shards: Shards, end: CancellationToken) {
    shards.wait_for_any().await;
    let mut state = TimersState::default();
    while !end.is_cancelled() {
        match fire(&engine, &shards.held(), &mut state).await {
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
pub async fn fire(engine: &Engine, shards: &[i64], state: &mut TimersState) -> Result<usize, Error> {
    let by = if engine.settings.rules.asks_lifecycle { FiredBy::Timers } else { FiredBy::Any };
    let due = due(engine, shards, by, TURN, state).await?;
    fire_all(engine, due.into_iter().map(News::DeadlinePassed).collect()).await
}

/// The due timers of these shards that one task fires. Each task has a state of its own.
pub(super) async fn due(
    engine: &Engine,
    shards: &[i64],
    by: FiredBy,
    limit: u32,
    state: &mut TimersState,
) -> Result<Vec<DueTimer>, Error> {
    state.marks.forget_if_due(engine.clock.monotonic());
    let marks = state.marks.of(shards.to_vec());
    let read = engine.store.read(move |tx| {
        Box::pin(async move { Ok::<_, Error>((tx.due_timers(&marks, tx.now(), by, limit).await?, tx.now())) })
    });
    let (due, now) = read.await?;
    // The first is the earliest of all these shards. It stays the mark until it has fired.
    let latest = now - COMMIT_MARGIN;
    let low = due.first().map_or(latest, |first| first.due_at.min(latest));
    state.marks.set(shards.iter().map(|&shard| LowWaterMark { shard, low }));
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
