//! An embedded installation that moves to other neighbours: what the old ones have said is applied, what they were told is
//! forgotten, and every batch is told that others serve now. Each function is one turn that may be killed anywhere and repeated.

use domain::BatchId;
use store::Lane;
use uuid::Uuid;

use crate::{Cause, Engine, Error, Message, News, Origin, to_wire};

pub use crate::consumer::catch_up;

/// Forgets what waits to be told to the neighbours of before: the new ones are told anew, from the rows. What is said to
/// everybody stays. Says how many messages are gone.
///
/// # Errors
/// When the store does not answer.
pub async fn forget_commands(engine: &Engine) -> Result<u64, Error> {
    let keep = to_wire::SAID_TO_EVERYBODY.as_str();
    let gone =
        engine.store.unit(Lane::Task, move |tx| Box::pin(async move { tx.retain_outbox_topic(keep).await }));
    Ok(gone.await?)
}

/// Tells batches that other neighbours serve now, at most `limit` behind the batch `after`, each once in this promotion. The
/// last of them, or none when there are no more.
///
/// # Errors
/// When the store does not answer, or a batch cannot be read.
pub async fn replace_neighbours(
    engine: &Engine,
    promotion: Uuid,
    after: Uuid,
    limit: u32,
) -> Result<Option<Uuid>, Error> {
    let batches: Vec<Uuid> =
        engine.store.read(move |tx| Box::pin(async move { tx.audit_batches(after, limit).await })).await?;
    let last = batches.last().copied();
    let news = batches.into_iter().filter_map(|id| {
        // Recorded in the inbox like a message, so that a second turn says it to nobody twice.
        let message = Message {
            event_id: Uuid::new_v5(&promotion, id.as_bytes()),
            topic: "promotion",
            partition: 0,
            offset: 0,
        };
        let cause = Cause { origin: Origin::Bus(message), correlation: None, trace: None };
        Some((BatchId::from_uuid(id).ok()?, News::NeighboursReplaced, cause))
    });
    engine.apply_many(news.collect()).await?;
    Ok(last)
}
