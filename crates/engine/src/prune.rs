//! What is past its time goes, in small chunks: ended batches by their state *and* age, log records that every reader has
//! dealt with, ids in the inbox, answers to idempotency keys.

use std::sync::Arc;

use store::Lane;
use tokio_util::sync::CancellationToken;

use crate::{Engine, Error, metrics};

/// Rows deleted in one unit, so that no writer waits long.
const CHUNK: u32 = 500;

/// Prunes until `end`.
pub async fn run(engine: Arc<Engine>, end: CancellationToken) {
    let mut was_denied = false;
    loop {
        match engine.store.maintain_partitions(engine.settings.keep_sent).await {
            Ok(upkeep) => {
                metrics::count(metrics::PARTITIONS_DROPPED, None, u64::from(upkeep.dropped));
                if upkeep.is_denied && !was_denied {
                    tracing::warn!(
                        "our role of the database may not make and drop the partitions of outbox_sent; sent messages are kept in \
                         its DEFAULT partition and deleted one by one: run `bos migrate up` once a day as the owner, or make our role the owner"
                    );
                }
                was_denied = upkeep.is_denied;
            }
            Err(error) => tracing::debug!(%error, "the partitions are looked after the next time"),
        }
        if let Err(error) = sweep(&engine).await {
            tracing::warn!(%error, "pruning waits");
        }
        tokio::select! {
            () = engine.clock.sleep(engine.settings.prune_period) => {}
            () = end.cancelled() => return,
        }
    }
}

/// One pass over everything that may be past its time.
pub async fn sweep(engine: &Engine) -> Result<(), Error> {
    let settings = &engine.settings;
    let (keep_batches, keep_sent) = (settings.keep_batches, settings.keep_sent);
    let (keep_inbox, keep_answers) = (settings.keep_inbox, settings.keep_answers);
    macro_rules! prune {
        ($label:literal, $method:ident, $keep:expr) => {
            loop {
                let keep = $keep;
                let gone = engine
                    .store
                    .unit(Lane::Task, move |tx| {
                        Box::pin(async move { tx.$method(tx.now() - keep, CHUNK).await })
                    })
                    .await?;
                metrics::count(metrics::PRUNED, Some(("table", $label)), gone);
                if gone < u64::from(CHUNK) {
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
