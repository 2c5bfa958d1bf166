//! The steps that move an embedded installation to external dependencies: apply what is unread on the embedded bus
//! ([`catch_up`]), drop the commands to the embedded services ([`drop_commands`]), and tell every batch that it has other
//! dependencies ([`replace_services`]). Each function may be killed anywhere and repeated.

use domain::BatchId;
use store::Lane;
use uuid::Uuid;

use crate::error::Error;
use crate::news::{BatchNews, Cause, ConsumedMessage, News, Origin};
use crate::road::Engine;
use crate::wire::to;

pub use crate::tasks::consumer::catch_up;

/// Deletes the outbox messages to the embedded services, and returns how many. The new ones get their own, made from the rows.
/// Events for any subscriber stay.
///
/// # Errors
/// When the store does not answer.
pub async fn drop_commands(engine: &Engine) -> Result<u64, Error> {
    let keep = to::BROADCAST.as_str();
    let dropped =
        engine.store.unit(Lane::Task, move |tx| Box::pin(async move { tx.retain_outbox_topic(keep).await }));
    Ok(dropped.await?)
}

/// Applies [`News::ServicesReplaced`] to the next batches, at most `limit`, in the order of their ids and after the batch
/// `after`. Returns the last of them, or `None` when there are no more.
///
/// # Errors
/// When the store does not answer, or a batch cannot be read.
pub async fn replace_services(
    engine: &Engine,
    promotion: Uuid,
    after: Uuid,
    limit: u32,
) -> Result<Option<Uuid>, Error> {
    let batches: Vec<Uuid> =
        engine.store.read(move |tx| Box::pin(async move { tx.audit_batches(after, limit).await })).await?;
    let last = batches.last().copied();
    let news = batches.into_iter().filter_map(|id| {
        // In the inbox under an id of the promotion and the batch, so that a repeated step applies it once.
        let message = ConsumedMessage {
            event_id: Uuid::new_v5(&promotion, id.as_bytes()),
            topic: "promotion",
            partition: 0,
            offset: 0,
        };
        let cause = Cause { origin: Origin::Bus(message), correlation: None, trace: None };
        Some(BatchNews { batch: BatchId::from_uuid(id).ok()?, news: News::ServicesReplaced, cause })
    });
    engine.apply_many(news.collect()).await?;
    Ok(last)
}
