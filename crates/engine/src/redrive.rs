//! Dead letters that came too early → dealt with again.
//!
//! A database restored from a backup hears news of what it has not begun once more: its neighbours are ahead of it. Such news is
//! set aside, and its batch's revision with it. Once the batch is past that, the message is read again from its place on the
//! bus and takes the road that every message takes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contract::Topic;
use store::{DeadLetter, Lane};
use tokio_util::sync::CancellationToken;

use crate::consumer::{CONSUMER, Stopped, deal};
use crate::dealt::{Dealt, Unusable};
use crate::ports::{Broker, Delivery, Placed};
use crate::{Engine, Error};

/// How often batches with early news are looked for. Nobody has any but after a restore.
const PERIOD: Duration = Duration::from_secs(1);
/// Messages dealt with in one turn.
const TURN: u32 = 500;

/// Deals with early news until `end`.
pub async fn run(engine: Arc<Engine>, broker: Arc<dyn Broker>, end: CancellationToken) {
    loop {
        let more = match turn(&engine, broker.as_ref()).await {
            Ok(dealt) => dealt == TURN as usize,
            Err(error) => {
                tracing::warn!(%error, "news that came too early waits on");
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

/// Deals once more with messages whose batches have changed since they were set aside; says with how many.
///
/// Safe to run twice, also at the same time: what was applied is a duplicate the second time, and a letter that is gone is not
/// written again.
///
/// # Errors
/// When the bus or the store cannot serve; the letters stand as they stood, but for those dealt with.
pub async fn turn(engine: &Engine, broker: &dyn Broker) -> Result<usize, Stopped> {
    let letters = engine
        .store
        .read(|tx| Box::pin(async move { tx.due_dead_letters(CONSUMER, TURN).await }))
        .await
        .map_err(Error::from)?;
    if letters.is_empty() {
        return Ok(0);
    }
    let deliveries = read_again(broker, &letters).await?;
    let dealt = deal(engine, &deliveries).await?;
    let places = deliveries.iter().map(|read| (read.topic.as_str().to_owned(), read.partition, read.offset));
    let mut dealt: BTreeMap<_, _> = places.zip(dealt).collect();
    let count = letters.len();
    let settled: Vec<Settled> = letters
        .into_iter()
        .map(|letter| {
            let dealt = dealt.remove(&(letter.topic.clone(), letter.partition, letter.offset));
            settle(letter, dealt)
        })
        .collect();
    let settled = Arc::new(settled);
    engine
        .store
        .unit(Lane::Task, move |tx| {
            let settled = Arc::clone(&settled);
            Box::pin(async move {
                for settled in settled.iter() {
                    match settled {
                        Settled::Done(letter) => {
                            tx.delete_dead_letter(
                                &letter.consumer,
                                &letter.topic,
                                letter.partition,
                                letter.offset,
                            )
                            .await?;
                        }
                        Settled::Stays(letter) => tx.update_dead_letter(letter).await?,
                    }
                }
                Ok::<_, Error>(())
            })
        })
        .await?;
    Ok(count)
}

/// What becomes of a letter.
enum Settled {
    Done(DeadLetter),
    Stays(DeadLetter),
}

fn settle(mut letter: DeadLetter, dealt: Option<Dealt>) -> Settled {
    match dealt {
        Some(Dealt::Applied(applied)) => {
            tracing::info!(
                topic = letter.topic,
                partition = letter.partition,
                offset = letter.offset,
                outcome = applied.label(),
                "a message that came too early is dealt with"
            );
            Settled::Done(letter)
        }
        Some(Dealt::Unusable(Unusable { code, until })) => {
            code.clone_into(&mut letter.error_code);
            letter.after_revision = until.map(|(_, revision)| revision);
            Settled::Stays(letter)
        }
        // The bus no longer has it. The letter stays, for an operator to see what was lost.
        None => {
            tracing::error!(
                topic = letter.topic,
                partition = letter.partition,
                offset = letter.offset,
                "news that came too early is no longer on the bus"
            );
            letter.after_revision = None;
            Settled::Stays(letter)
        }
    }
}

/// The messages of these letters that the bus still has, in the order of the letters.
async fn read_again(broker: &dyn Broker, letters: &[DeadLetter]) -> Result<Vec<Delivery>, Stopped> {
    let mut places: BTreeMap<Topic, Vec<Placed>> = BTreeMap::new();
    for letter in letters {
        if let Ok(topic) = letter.topic.parse() {
            places
                .entry(topic)
                .or_default()
                .push(Placed { partition: letter.partition, offset: letter.offset });
        }
    }
    let mut deliveries = Vec::with_capacity(letters.len());
    for (topic, places) in places {
        deliveries.extend(broker.fetch(topic, places).await?);
    }
    Ok(deliveries)
}
