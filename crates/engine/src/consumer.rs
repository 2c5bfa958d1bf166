//! Bus → news.
//!
//! The position on the bus moves only after the database has everything. News about what we do not have is somebody else's
//! (ours is always committed before its command leaves): counted, no row. What cannot be understood, or is impossible about
//! our own, is set aside under its place on the bus, which is its own deduplication.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contract::Topic;
use sha2::{Digest as _, Sha256};
use store::{DeadLetter, Lane};
use tokio_util::sync::CancellationToken;

use crate::dealt::{Dealt, Unusable};
use crate::from_wire::{Read, read};
use crate::local_broker::{READ_BYTES, delivery};
use crate::ports::{Broker, BrokerError, Delivery, Subscription};
use crate::{Applied, CrashPoint, Engine, Error, metrics};

/// The consumer group; never the Python service's, so that both can run side by side.
pub const CONSUMER: &str = "batch-orchestrator-service-rs";

/// Messages taken in one turn.
const TURN: usize = 500;
/// Records of the embedded log taken in one turn by whoever only catches up.
const LOG_TURN: u32 = 500;

/// Reads until `end`.
pub async fn run(engine: Arc<Engine>, broker: Arc<dyn Broker>, end: CancellationToken) {
    let mut pause = Duration::ZERO;
    loop {
        let work = follow(&engine, broker.as_ref(), &mut pause);
        // Dropping the work at the end is safe: a unit under way runs on to its COMMIT, and the position lags behind.
        tokio::select! {
            failed = work => {
                let Err(error) = failed;
                pause = (pause * 2).clamp(Duration::from_millis(100), Duration::from_secs(5));
                tracing::warn!(%error, pause_ms = pause.as_millis(), "reading the bus failed; going back to the last position");
            }
            () = end.cancelled() => return,
        }
        tokio::select! {
            () = engine.clock().sleep(pause) => {}
            () = end.cancelled() => return,
        }
    }
}

/// Why reading stopped.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The bus.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The database, or a crash point.
    #[error(transparent)]
    Engine(#[from] Error),
}

async fn follow(
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

/// Waits for messages and deals with some: afterwards the database has everything and the position is past them.
///
/// # Errors
/// When the bus or the store cannot serve; the position stands where it stood.
pub async fn turn(engine: &Engine, subscription: &mut dyn Subscription) -> Result<(), Stopped> {
    let deliveries = subscription.next(TURN).await?;
    let started = Instant::now();
    engine.crash.at(CrashPoint::Polled)?;
    let mut aside = Vec::new();
    for (dealt, delivery) in deal(engine, &deliveries).await?.into_iter().zip(&deliveries) {
        match dealt {
            Dealt::Applied(applied) => count(applied.label()),
            Dealt::Unusable(why) => aside.push(dead_letter(engine, delivery, &why)),
        }
    }
    set_aside(engine, aside).await?;
    engine.crash.at(CrashPoint::Consumed)?;
    subscription.commit().await?;
    metrics::turn("consumer", started.elapsed());
    Ok(())
}

/// Applies news that lies unread on the embedded log. False when there is none left.
///
/// # Errors
/// When the store does not answer; the position stands where it stood.
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
    let mut aside = Vec::new();
    for (dealt, delivery) in deal(engine, &deliveries).await?.into_iter().zip(&deliveries) {
        if let Dealt::Unusable(why) = dealt {
            aside.push(dead_letter(engine, delivery, &why));
        }
    }
    set_aside(engine, aside).await?;
    let next = page.scanned_to + 1;
    engine
        .store
        .unit(Lane::Task, move |tx| Box::pin(async move { tx.set_log_position(CONSUMER, next).await }))
        .await?;
    Ok(true)
}

/// Deals once more with a message that was set aside, by the road that every message takes. Its dead letter is the caller's to
/// drop: what is done twice in between is a duplicate the second time.
///
/// # Errors
/// When the store cannot serve.
pub async fn replay(engine: &Engine, delivery: Delivery) -> Result<Dealt, Error> {
    let dealt = deal(engine, &[delivery]).await?.pop();
    Ok(dealt.unwrap_or(Dealt::Applied(Applied::Foreign)))
}

/// Reads and applies messages; says of each what came of it.
pub(crate) async fn deal(engine: &Engine, deliveries: &[Delivery]) -> Result<Vec<Dealt>, Error> {
    let mut news = Vec::with_capacity(deliveries.len());
    let mut told = Vec::with_capacity(deliveries.len());
    // A message without a line of its own below is foreign.
    let mut dealt = vec![Dealt::Applied(Applied::Foreign); deliveries.len()];
    for (delivery, dealt) in deliveries.iter().zip(&mut dealt) {
        match read(delivery) {
            Read::News(piece) => {
                told.push((piece.0, dealt));
                news.push(*piece);
            }
            Read::Contradiction { batch } if engine.has(batch).await? => {
                *dealt = Unusable::for_good("batch_contradicted");
            }
            Read::Contradiction { .. } | Read::Foreign => {}
            Read::Undecodable { code } => *dealt = Unusable::for_good(code),
        }
    }
    for (outcome, (batch, dealt)) in engine.apply_each(news).await?.into_iter().zip(told) {
        *dealt = match outcome {
            None => Unusable::for_good("not_applicable"),
            Some(Applied::Refused(refusal)) => Unusable::by(&refusal, batch),
            Some(applied) => Dealt::Applied(applied),
        };
    }
    Ok(dealt)
}

fn count(outcome: &'static str) {
    metrics::count(metrics::CONSUMED, Some(("outcome", outcome)), 1);
}

/// A pointer, a hash and a reason: the payload stays on the bus.
fn dead_letter(engine: &Engine, delivery: &Delivery, why: &Unusable) -> DeadLetter {
    count("dead_letter");
    tracing::warn!(
        topic = delivery.topic.as_str(),
        partition = delivery.partition,
        offset = delivery.offset,
        code = why.code,
        "a message is set aside"
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

async fn set_aside(engine: &Engine, letters: Vec<DeadLetter>) -> Result<(), Error> {
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
