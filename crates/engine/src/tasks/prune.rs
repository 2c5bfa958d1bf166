//! Deletes rows past their retention, in small chunks: ended batches, inbox rows, answers under Idempotency-Keys, sent messages,
//! and records of the embedded log that every reader has passed. A clock that jumped forward is not believed at once
//! (`retention_clock.rs`).

use std::sync::Arc;
use std::time::Duration;

use store::Lane;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::metrics;
use crate::road::Engine;

/// Rows deleted in one unit, at most, so that other writers do not wait long.
const CHUNK: u32 = 500;

/// Prunes until `end`.
pub async fn run(engine: Arc<Engine>, end: CancellationToken) {
    let mut was_denied = false;
    loop {
        if let Err(error) = turn(&engine, &mut was_denied).await {
            tracing::warn!(%error, "cannot prune; retrying in the next period");
        }
        tokio::select! {
            () = engine.clock.sleep(engine.settings.prune_period) => {}
            () = end.cancelled() => return,
        }
    }
}

/// Maintains the partitions, and deletes all rows that are past their retention.
async fn turn(engine: &Engine, was_denied: &mut bool) -> Result<(), Error> {
    let lead = engine.retention_clock.observe(&engine.store, engine.clock.as_ref()).await?;
    match engine.store.maintain_partitions(engine.settings.keep_sent + lead).await {
        Ok(upkeep) => {
            metrics::count(metrics::PARTITIONS_DROPPED, None, u64::from(upkeep.dropped));
            if upkeep.is_denied && !*was_denied {
                tracing::warn!(
                    "the database role may not create and drop partitions of outbox_sent; sent messages are kept in its \
                         DEFAULT partition and deleted row by row; run `bos migrate up` once a day as the table's \
                         owner, or make the role the owner"
                );
            }
            *was_denied = upkeep.is_denied;
        }
        Err(error) => {
            tracing::debug!(%error, "cannot maintain the partitions; retrying in the next period");
        }
    }
    delete(engine, lead).await
}

/// Deletes all rows that are past their retention.
///
/// # Errors
/// When the store does not answer.
pub async fn sweep(engine: &Engine) -> Result<(), Error> {
    let lead = engine.retention_clock.observe(&engine.store, engine.clock.as_ref()).await?;
    delete(engine, lead).await
}

async fn delete(engine: &Engine, lead: Duration) -> Result<(), Error> {
    let settings = &engine.settings;
    let (keep_batches, keep_sent) = (settings.keep_batches + lead, settings.keep_sent + lead);
    let (keep_inbox, keep_answers) = (settings.keep_inbox + lead, settings.keep_answers + lead);
    macro_rules! prune {
        ($label:literal, $method:ident, $keep:expr) => {
            loop {
                let keep = $keep;
                let deleted = engine
                    .store
                    .unit(Lane::Task, move |tx| {
                        Box::pin(async move { tx.$method(tx.now() - keep, CHUNK).await })
                    })
                    .await?;
                metrics::count(metrics::PRUNED, Some(("table", $label)), deleted);
                if deleted < u64::from(CHUNK) {
                    break;
                }
            }
        };
    }
    prune!("batches", prune_batches, keep_batches);
    prune!("inbox", prune_inbox, keep_inbox);
    prune!("idempotency", prune_idempotency, keep_answers);
    prune!("outbox_sent", prune_sent_days, keep_sent);
    prune!("local_log", prune_log, keep_sent);
    Ok(())
}
