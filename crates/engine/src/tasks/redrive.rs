//! Dead letters of messages that came too early → consumer.
//!
//! After a restore from a backup, other services are ahead of the database: they report on phases that a batch has not started
//! yet. Such a message is dead-lettered together with the batch's revision. Once the batch is past that revision, the message is
//! read again from its position on the bus and processed as every message is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contract::Topic;
use store::{DeadLetter, Lane};
use tokio_util::sync::CancellationToken;

use super::consumer::{CONSUMER, Processed, Stopped, process};
use super::disposition::{Disposition, Unusable};
use crate::error::Error;
use crate::ports::{Broker, Delivery, RecordPosition};
use crate::road::Engine;

/// The period at which due dead letters are read. They occur only after a restore.
const PERIOD: Duration = Duration::from_secs(1);
/// Messages in one turn, at most.
const TURN: u32 = 500;

/// Processes early messages until `end`.
pub async fn run(engine: Arc<Engine>, broker: Arc<dyn Broker>, end: CancellationToken) {
    loop {
        let more = match turn(&engine, broker.as_ref()).await {
            Ok(processed) => processed == TURN as usize,
            Err(error) => {
                tracing::warn!(%error, "cannot process messages that came too early; retrying");
                false
            }
        };
        let pause = if more { Duration::ZERO } else { PERIOD };
        tokio::select! {
            () = engine.clock.sleep(pause) => {}
            () = end.cancelled() => return,
        }
    }
}

/// Processes messages whose batches have changed since they were dead-lettered. Returns how many dead letters were read.
///
/// Safe to run twice at once: a message that was applied is a duplicate the second time, and a dead letter that was deleted is
/// not written again.
///
/// # Errors
/// When the bus or the store does not answer. Dead letters whose messages were processed may have been kept then; the next turn
/// finds the messages to be duplicates.
pub async fn turn(engine: &Engine, broker: &dyn Broker) -> Result<usize, Stopped> {
    let letters = engine
        .store
        .read(|tx| Box::pin(async move { tx.due_dead_letters(CONSUMER, TURN).await }))
        .await
        .map_err(Error::from)?;
    if letters.is_empty() {
        return Ok(0);
    }
    let processed = process(engine, fetch(broker, &letters).await?).await?;
    let key = |delivery: &Delivery| (delivery.topic.as_str().to_owned(), delivery.partition, delivery.offset);
    let mut dispositions: BTreeMap<_, _> = processed
        .into_iter()
        .map(|Processed { delivery, disposition }| (key(&delivery), disposition))
        .collect();
    let count = letters.len();
    let updates: Vec<Update> = letters
        .into_iter()
        .map(|letter| {
            let disposition = dispositions.remove(&(letter.topic.clone(), letter.partition, letter.offset));
            Update::new(letter, disposition)
        })
        .collect();
    let updates = Arc::new(updates);
    engine
        .store
        .unit(Lane::Task, move |tx| {
            let updates = Arc::clone(&updates);
            Box::pin(async move {
                for update in updates.iter() {
                    match update {
                        Update::Delete(letter) => {
                            tx.delete_dead_letter(
                                &letter.consumer,
                                &letter.topic,
                                letter.partition,
                                letter.offset,
                            )
                            .await?;
                        }
                        Update::Keep(letter) => tx.update_dead_letter(letter).await?,
                    }
                }
                Ok::<_, Error>(())
            })
        })
        .await?;
    Ok(count)
}

/// The change of a dead letter after its message was processed.
enum Update {
    Delete(DeadLetter),
    Keep(DeadLetter),
}

impl Update {
    /// `disposition` is `None` if the bus no longer has the message.
    fn new(mut letter: DeadLetter, disposition: Option<Disposition>) -> Self {
        match disposition {
            Some(Disposition::Applied(applied)) => {
                tracing::info!(
                    topic = letter.topic,
                    partition = letter.partition,
                    offset = letter.offset,
                    outcome = applied.label(),
                    "a message that came too early is processed"
                );
                Self::Delete(letter)
            }
            Some(Disposition::Unusable(Unusable { code, until })) => {
                code.clone_into(&mut letter.error_code);
                letter.after_revision = until.map(|(_, revision)| revision);
                Self::Keep(letter)
            }
            // The dead letter is kept, so that operators see which message was lost.
            None => {
                tracing::error!(
                    topic = letter.topic,
                    partition = letter.partition,
                    offset = letter.offset,
                    "a message that came too early is no longer on the bus; its dead letter is kept"
                );
                letter.after_revision = None;
                Self::Keep(letter)
            }
        }
    }
}

/// Fetches the messages of these dead letters that the bus still has: by topic, in the order of the dead letters.
async fn fetch(broker: &dyn Broker, letters: &[DeadLetter]) -> Result<Vec<Delivery>, Stopped> {
    let mut positions: BTreeMap<Topic, Vec<RecordPosition>> = BTreeMap::new();
    for letter in letters {
        if let Ok(topic) = letter.topic.parse() {
            positions
                .entry(topic)
                .or_default()
                .push(RecordPosition { partition: letter.partition, offset: letter.offset });
        }
    }
    let mut deliveries = Vec::with_capacity(letters.len());
    for (topic, positions) in positions {
        deliveries.extend(broker.fetch(topic, positions).await?);
    }
    Ok(deliveries)
}
