//! Bus → news.
//!
//! Offsets are committed only after the database has everything. A message about a batch that the database does not have is about
//! a batch of another service, because a batch of ours is committed before its command leaves: such a message is counted and
//! leaves no row. A message that cannot be decoded, or that the rules do not allow, becomes a dead letter. The dead letter's key
//! is the message's position, so that a redelivery does not write a second one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contract::Topic;
use sha2::{Digest as _, Sha256};
use store::{DeadLetter, Lane};
use tokio_util::sync::CancellationToken;

use super::disposition::{Disposition, Unusable};
use crate::crash::CrashPoint;
use crate::error::Error;
use crate::metrics;
use crate::ports::local_broker::{READ_BYTES, delivery};
use crate::ports::{Broker, BrokerError, Delivery, Subscription};
use crate::road::Engine;
use crate::road::applied::Applied;
use crate::wire::from::{Read, read};

pub use crate::news::CONSUMER;

/// Messages in one turn, at most.
const TURN: usize = 500;
/// Records of the embedded log in one turn of [`catch_up`], at most.
const LOG_TURN: u32 = 500;

/// Consumes messages until `end`.
///
/// After a failure it pauses for 100 ms, doubling up to 5 s, and reads on from the last commit.
pub async fn run(engine: Arc<Engine>, broker: Arc<dyn Broker>, end: CancellationToken) {
    let mut pause = Duration::ZERO;
    loop {
        let work = consume(&engine, broker.as_ref(), &mut pause);
        // Dropping the work at the end is safe: a unit under way runs on to its COMMIT, and the offsets are committed later.
        tokio::select! {
            failed = work => {
                let Err(error) = failed;
                pause = (pause * 2).clamp(Duration::from_millis(100), Duration::from_secs(5));
                tracing::warn!(%error, pause_ms = pause.as_millis(), "cannot consume messages; retrying from the last commit");
            }
            () = end.cancelled() => return,
        }
        tokio::select! {
            () = engine.clock().sleep(pause) => {}
            () = end.cancelled() => return,
        }
    }
}

/// Why a turn failed.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The bus failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The database failed, or a crash point was passed.
    #[error(transparent)]
    Engine(#[from] Error),
}

async fn consume(
    engine: &Arc<Engine>,
    broker: &dyn Broker,
    pause: &mut Duration,
) -> Result<std::convert::Infallible, Stopped> {
    let mut subscription = broker.subscribe(CONSUMER, Topic::READ.to_vec()).await?;
    loop {
        turn(engine, subscription.as_mut()).await?;
        *pause = Duration::ZERO;
    }
}

/// Waits for messages, processes some, and commits their offsets.
///
/// # Errors
/// When the bus or the store does not answer. No offset is committed then, and the messages are delivered again.
pub async fn turn(engine: &Engine, subscription: &mut dyn Subscription) -> Result<(), Stopped> {
    let deliveries = subscription.next(TURN).await?;
    let started = Instant::now();
    engine.crash.at(CrashPoint::Polled)?;
    let mut dead_letters = Vec::new();
    for Processed { delivery, disposition } in process(engine, deliveries).await? {
        match disposition {
            Disposition::Applied(applied) => count(applied.label()),
            Disposition::Unusable(why) => dead_letters.push(dead_letter(engine, &delivery, &why)),
        }
    }
    write_dead_letters(engine, dead_letters).await?;
    engine.crash.at(CrashPoint::Consumed)?;
    subscription.commit().await?;
    metrics::turn("consumer", started.elapsed());
    Ok(())
}

/// Applies some of the unread news on the embedded log. Returns false when there was none.
///
/// # Errors
/// When the store does not answer. The position stays then.
pub async fn catch_up(engine: &Engine) -> Result<bool, Error> {
    let topics: Vec<&'static str> = Topic::READ.iter().map(|topic| topic.as_str()).collect();
    let page = engine
        .store
        .read(move |tx| {
            Box::pin(async move {
                let after = tx.log_position(CONSUMER).await?.map_or(0, |next| next - 1);
                tx.read_log(after, &topics, LOG_TURN, READ_BYTES).await
            })
        })
        .await?;
    if page.records.is_empty() {
        return Ok(false);
    }
    let deliveries: Vec<Delivery> = page.records.into_iter().filter_map(delivery).collect();
    let mut dead_letters = Vec::new();
    for Processed { delivery, disposition } in process(engine, deliveries).await? {
        if let Disposition::Unusable(why) = disposition {
            dead_letters.push(dead_letter(engine, &delivery, &why));
        }
    }
    write_dead_letters(engine, dead_letters).await?;
    let next = page.scanned_to + 1;
    engine
        .store
        .unit(Lane::Task, move |tx| Box::pin(async move { tx.set_log_position(CONSUMER, next).await }))
        .await?;
    Ok(true)
}

/// Processes a message that has a dead letter once more, as the consumer does.
///
/// The caller deletes the dead letter afterwards. If the message is replayed twice, the second time is a duplicate.
///
/// # Errors
/// When the store does not answer.
pub async fn replay(engine: &Engine, delivery: Delivery) -> Result<Disposition, Error> {
    let processed = process(engine, vec![delivery]).await?.pop();
    Ok(processed.map_or(Disposition::Applied(Applied::Foreign), |processed| processed.disposition))
}

/// A message with what became of it.
pub(super) struct Processed {
    pub(super) delivery: Delivery,
    pub(super) disposition: Disposition,
}

/// Decodes messages and applies their news. Returns them in order, each with its disposition.
///
/// # Errors
/// When the store does not answer. Some of the messages may have been applied then; their redelivery is a duplicate.
pub(super) async fn process(engine: &Engine, deliveries: Vec<Delivery>) -> Result<Vec<Processed>, Error> {
    let mut news = Vec::with_capacity(deliveries.len());
    // No disposition yet: the message's news is to be applied.
    let mut read_messages = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let disposition = match read(&delivery) {
            Read::News(of_batch) => {
                news.push(*of_batch);
                None
            }
            Read::Contradiction { batch } if engine.has_batch(batch).await? => {
                Some(Disposition::unusable("batch_contradicted"))
            }
            Read::Contradiction { .. } | Read::Foreign => Some(Disposition::Applied(Applied::Foreign)),
            Read::Undecodable { code } => Some(Disposition::unusable(code)),
        };
        read_messages.push((delivery, disposition));
    }
    let mut outcomes = engine.apply_each(news).await?.into_iter();
    let processed = read_messages.into_iter().filter_map(|(delivery, disposition)| {
        let disposition = disposition.or_else(|| outcomes.next().map(Disposition::from))?;
        Some(Processed { delivery, disposition })
    });
    Ok(processed.collect())
}

fn count(outcome: &'static str) {
    metrics::count(metrics::CONSUMED, Some(("outcome", outcome)), 1);
}

/// Makes the dead letter of a message: its position, a hash and a reason. The payload stays on the bus only.
fn dead_letter(engine: &Engine, delivery: &Delivery, why: &Unusable) -> DeadLetter {
    count("dead_letter");
    tracing::warn!(
        topic = delivery.topic.as_str(),
        partition = delivery.partition,
        offset = delivery.offset,
        code = why.code,
        "cannot process a message; it is dead-lettered; see `bos dead-letter show`"
    );
    DeadLetter {
        consumer: CONSUMER.to_owned(),
        topic: delivery.topic.as_str().to_owned(),
        partition: delivery.partition,
        offset: delivery.offset,
        event_id: None,
        batch_id: why.until.map(|(batch, _)| batch),
        error_code: why.code.to_owned(),
        value_sha256: Sha256::digest(&delivery.value).to_vec(),
        at: engine.clock.now(),
        after_revision: why.until.map(|(_, revision)| revision),
    }
}

async fn write_dead_letters(engine: &Engine, letters: Vec<DeadLetter>) -> Result<(), Error> {
    if letters.is_empty() {
        return Ok(());
    }
    let letters = Arc::new(letters);
    engine
        .store
        .unit(Lane::Task, move |tx| {
            let letters = Arc::clone(&letters);
            Box::pin(async move {
                for letter in letters.iter() {
                    tx.insert_dead_letter(letter).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .await?;
    engine.crash.at(CrashPoint::SetAside)?;
    Ok(())
}
