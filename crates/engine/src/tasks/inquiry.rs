//! Due timers that the lifecycle service can say something about → [`News::LifecycleAnswered`].
//!
//! A timer fires whether or not an answer comes, so an unavailable lifecycle service delays nothing but the answer.

use std::sync::Arc;

use domain::LifecycleAnswer;
use futures::StreamExt as _;
use store::{DueTimer, FiredBy};
use tokio_util::sync::CancellationToken;

use super::shards::Shards;
use super::timers::{self, TimersState};
use crate::error::Error;
use crate::metrics;
use crate::news::News;
use crate::ports::{LifecycleError, LifecycleStatus};
use crate::road::Engine;
use crate::wire::from;

/// Timers in one turn, at most. Chosen: with the calls of a turn all timing out, a turn takes a few time-outs.
const TURN: u32 = 32;
/// Calls at the same time (chosen).
const CALLS: usize = 8;

/// Asks about due timers and fires them until `end`.
pub async fn run(
    engine: Arc<Engine>,
    lifecycle: Arc<dyn LifecycleStatus>,
    mut shards: Shards,
    end: CancellationToken,
) {
    shards.wait_for_any().await;
    let mut state = TimersState::default();
    while !end.is_cancelled() {
        match turn(&engine, lifecycle.as_ref(), &shards.held(), &mut state).await {
            Ok(fired) if fired >= TURN as usize => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot fire the timers of silent phases; retrying"),
        }
        tokio::select! {
            () = engine.clock.sleep(engine.settings.timer_period) => {}
            () = end.cancelled() => {}
        }
    }
}

/// Asks about due timers of these shards and fires them, at most 32. Returns how many.
///
/// # Errors
/// As [`timers::fire`].
pub async fn turn(
    engine: &Engine,
    lifecycle: &dyn LifecycleStatus,
    shards: &[i64],
    state: &mut TimersState,
) -> Result<usize, Error> {
    let due = timers::due(engine, shards, FiredBy::Inquiry, TURN, state).await?;
    let asked = due.into_iter().map(async |due| ask(lifecycle, due).await);
    let news = futures::stream::iter(asked).buffered(CALLS).collect::<Vec<_>>().await;
    timers::fire_all(engine, news).await
}

async fn ask(lifecycle: &dyn LifecycleStatus, due: DueTimer) -> News {
    let Some(phase) = due.timer.phase else { return News::DeadlinePassed(due) };
    let answer = lifecycle.statuses(due.batch.as_uuid()).await;
    let outcome = match &answer {
        Ok(_) => "answered",
        Err(LifecycleError::UnknownBatch) => "unknown_batch",
        Err(LifecycleError::Unavailable { code }) => code,
    };
    metrics::count(metrics::INQUIRIES, Some(("outcome", outcome)), 1);
    match answer {
        Ok(statuses) => {
            let answer: LifecycleAnswer = from::lifecycle_answer(&statuses, phase);
            tracing::debug!(batch.id = %due.batch, %phase, ?answer, "asked the lifecycle service");
            News::LifecycleAnswered { due, answer }
        }
        Err(error) => {
            tracing::warn!(%error, batch.id = %due.batch, %phase, "cannot ask the lifecycle service about a silent phase");
            News::DeadlinePassed(due)
        }
    }
}
