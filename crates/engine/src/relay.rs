//! Outbox → bus.
//!
//! What is pending is a row, and a row is sent when no earlier one of its ordering key is there: so one message of a key is
//! in flight at a time, and first occurrences keep their order even while two processes believe that a shard is theirs. An
//! acknowledged row is archived and deleted; a crash in between sends it again, under the same id and with the same bytes.
//!
//! A bus that is away is nobody's fault: rows keep waiting, for as long as it takes, and no attempt is counted. Only what the
//! bus says about one record is that record's own: one that it will never take is set aside at once and holds back its key,
//! one that it fails to take for another reason is tried again later.
//!
//! Woken after every commit that may have written to the outbox, and by a period; each acknowledgement may have made room
//! for a key's next message, so the table is looked at again then. Between two periods only those shards are looked at in
//! which something has happened: whatever is in flight is in the table still, and reading all of it again at every landing
//! was a fifth of what an essay costs PostgreSQL.

pub mod embedded;
mod late;
mod marks;
mod outcome;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use contract::Topic;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use store::{PendingRow, Sent};
use tokio_util::sync::CancellationToken;

use crate::backoff::backoff;
use crate::ports::{Broker, Placed, Record, SendError};
use crate::{CrashPoint, Engine, Error, Shards, metrics, spans};
use late::Late;
use marks::Marks;
use outcome::Trouble;

/// Messages in flight at the same time: enough to keep the bus busy, few enough to be re-sent after a crash.
const WINDOW: usize = 2_000;
/// So many in flight do not keep the relay from looking for more at once; of a larger number half must have landed. Messages
/// that follow each other closely are then sent together, which is what Kafka is fast at.
const FEW: usize = 32;
/// Messages of one shard taken in one look.
const OF_SHARD: u32 = 500;
/// The lease must outlast a message's time-out by this much.
const MARGIN: Duration = Duration::from_secs(1);
/// The pause of a relay whose bus is away.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Sends messages until `end`; what is in the outbox then stays for the next start or for another process.
pub async fn run(engine: Arc<Engine>, broker: Arc<dyn Broker>, mut shards: Shards, end: CancellationToken) {
    let mut relay = Relay::new(Arc::clone(&engine), broker, shards.clone());
    while !end.is_cancelled() {
        if let Err(error) = relay.send().await {
            tracing::warn!(%error, "messages stay in the outbox for now");
        }
        tokio::select! {
            biased;
            () = end.cancelled() => {}
            () = relay.land(), if relay.is_waiting() => {}
            () = engine.signals.relay.notified() => {}
            () = shards.renewed() => {}
            () = engine.clock.sleep(engine.settings.relay_period) => {}
        }
        if let Err(error) = relay.record().await {
            tracing::warn!(%error, "what was sent cannot be recorded for now");
            // It stays in hand, and nothing of it is sent again meanwhile.
            engine.clock.sleep(FIRST_PAUSE).await;
        }
    }
    // What is in flight is recorded, so that nobody need send it again.
    while relay.is_waiting() {
        relay.land().await;
    }
    if let Err(error) = relay.record().await {
        tracing::warn!(%error, "what was sent could not be recorded and will be sent again");
    }
}

/// A row's place: its shard and its number in it.
type Place = (i64, i64);

/// What is in flight, and what came of it and is not recorded yet.
#[derive(Debug)]
pub struct Relay {
    engine: Arc<Engine>,
    broker: Arc<dyn Broker>,
    shards: Shards,
    marks: Marks,
    late: Late,
    flights: FuturesUnordered<BoxFuture<'static, (Place, Result<Placed, SendError>)>>,
    /// Rows that are in flight or in hand: they are still in the table and are not to be sent again.
    taken: HashMap<Place, Row>,
    sent: Vec<Sent>,
    troubles: Vec<Trouble>,
    /// Shards in which a message has landed since they were looked at.
    landed: BTreeSet<i64>,
    /// When all shards are to be looked at: other processes write too, and nobody here hears of it.
    all_at: Duration,
    /// What was in flight after the last look that found something.
    most_in_flight: usize,
    /// Turns in a row in which the bus took nothing, and until when it is left alone.
    failures: u32,
    paused_until: Duration,
}

/// What is remembered of a row in flight.
#[derive(Debug, Clone, Copy)]
struct Row {
    attempts: u32,
    created_at: DateTime<Utc>,
}

impl Relay {
    /// A relay with nothing in flight.
    pub fn new(engine: Arc<Engine>, broker: Arc<dyn Broker>, shards: Shards) -> Self {
        Self {
            engine,
            broker,
            shards,
            marks: Marks::default(),
            late: Late::default(),
            flights: FuturesUnordered::new(),
            taken: HashMap::new(),
            sent: Vec::new(),
            troubles: Vec::new(),
            landed: BTreeSet::new(),
            all_at: Duration::ZERO,
            most_in_flight: 0,
            failures: 0,
            paused_until: Duration::ZERO,
        }
    }

    /// Hands to the bus what may be sent now, and says how many messages that were.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn send(&mut self) -> Result<usize, Error> {
        let now = self.engine.clock.monotonic();
        // Some may hang, on a partition without a leader: every period the others get their chance all the same.
        let most = if now >= self.all_at { WINDOW / 2 } else { FEW.max(self.most_in_flight / 2) };
        if now < self.paused_until || self.taken.len() > most {
            return Ok(0);
        }
        let held = self.engine.settings.message_timeout + MARGIN;
        let shards = self.stirred(self.shards.for_longer_than(held), now);
        if shards.is_empty() {
            return Ok(0);
        }
        let (heads, looked_at) = self.marks.look(&self.engine, shards, now).await?;
        if heads.len() >= WINDOW {
            // There may be more in shards that were not reached.
            self.all_at = now;
        }
        // The look may have taken long: what the lease may not outlast is left to whoever has it next.
        let still: HashSet<i64> = self.shards.for_longer_than(held).into_iter().collect();
        let fresh: Vec<PendingRow> = heads
            .into_iter()
            .filter(|row| still.contains(&row.message.shard))
            .filter(|row| !self.taken.contains_key(&(row.message.shard, row.id)))
            .collect();
        if fresh.is_empty() {
            return Ok(0);
        }
        self.late.look(&fresh, looked_at, now);
        self.engine.crash.at(CrashPoint::BeforePublish)?;
        let sent = fresh.len();
        for row in fresh {
            self.take_off(row, looked_at);
        }
        metrics::in_flight(self.flights.len());
        self.most_in_flight = self.taken.len();
        self.marks.move_up(&self.engine, still.into_iter().collect(), now).await?;
        Ok(sent)
    }

    /// Those of these shards that may have something new to send.
    fn stirred(&mut self, mut shards: Vec<i64>, now: Duration) -> Vec<i64> {
        if shards.is_empty() {
            // Between leases: what has happened meanwhile is seen in the first look after that.
            return shards;
        }
        let mut stirred = self.engine.signals.take_written();
        stirred.append(&mut self.landed);
        if now >= self.all_at {
            self.all_at = now + self.engine.settings.relay_period;
        } else {
            shards.retain(|shard| stirred.contains(shard));
        }
        shards
    }

    fn take_off(&mut self, row: PendingRow, at: DateTime<Utc>) {
        let place = (row.message.shard, row.id);
        self.taken.insert(place, Row { attempts: row.attempts, created_at: row.created_at });
        match record(row, at) {
            Some(mut record) => {
                let span = spans::sent(&mut record);
                let flight = self.broker.send(record);
                self.flights.push(Box::pin(async move {
                    let outcome = flight.await;
                    if let Some(span) = span {
                        spans::landed(&span, outcome);
                    }
                    (place, outcome)
                }));
            }
            None => self.settle(place, Err(SendError::Refused { code: "record_invalid" })),
        }
    }

    /// Whether something is in flight.
    pub fn is_waiting(&self) -> bool {
        !self.flights.is_empty()
    }

    /// Waits for the next answer of the bus, and takes all that have come. Nothing is lost by dropping this.
    pub async fn land(&mut self) {
        let Some((place, outcome)) = self.flights.next().await else { return };
        self.settle(place, outcome);
        while let Some(Some((place, outcome))) = futures::FutureExt::now_or_never(self.flights.next()) {
            self.settle(place, outcome);
        }
        metrics::in_flight(self.flights.len());
    }

    fn settle(&mut self, place: Place, outcome: Result<Placed, SendError>) {
        let (shard, id) = place;
        match outcome {
            Ok(Placed { partition, offset }) => {
                self.failures = 0;
                self.paused_until = Duration::ZERO;
                self.engine.set_bus_trouble(None);
                if let Some(row) = self.taken.get(&place) {
                    metrics::outbox_wait(self.engine.clock.now() - row.created_at);
                }
                self.sent.push(Sent { shard, id, partition, offset });
            }
            Err(SendError::Unavailable { code }) => {
                self.taken.remove(&place);
                metrics::count(metrics::SEND_FAILURES, Some(("code", code)), 1);
                self.leave_alone(code);
            }
            Err(SendError::Refused { code }) => {
                metrics::count(metrics::SEND_FAILURES, Some(("code", code)), 1);
                self.troubles.push(Trouble::refused(place, code));
            }
            Err(SendError::Failed { code }) => {
                metrics::count(metrics::SEND_FAILURES, Some(("code", code)), 1);
                let Some(row) = self.taken.get(&place).copied() else { return };
                self.troubles.push(Trouble::failed(place, code, row, self.engine.clock.as_ref()));
            }
        }
    }

    /// The bus is away: everybody's messages wait, and a whole window that failed together counts once.
    fn leave_alone(&mut self, code: &'static str) {
        let now = self.engine.clock.monotonic();
        if now < self.paused_until {
            return;
        }
        let pause = backoff(self.engine.clock.as_ref(), FIRST_PAUSE, LONGEST_PAUSE, self.failures);
        self.failures = self.failures.saturating_add(1);
        self.paused_until = now + pause;
        self.engine.set_bus_trouble(Some(code));
        tracing::warn!(
            code,
            pause_ms = pause.as_millis(),
            "the event bus cannot be used; messages stay in the outbox"
        );
    }

    /// Records what came of the messages that have landed.
    ///
    /// # Errors
    /// When the store does not answer; everything stays in hand for the next call.
    pub async fn record(&mut self) -> Result<(), Error> {
        if self.sent.is_empty() && self.troubles.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        self.engine.crash.at(CrashPoint::Published)?;
        outcome::record(&self.engine, &self.sent, &self.troubles).await?;
        metrics::count(metrics::RELAYED, None, self.sent.len() as u64);
        for sent in self.sent.drain(..) {
            self.landed.insert(sent.shard);
            self.taken.remove(&(sent.shard, sent.id));
        }
        for trouble in self.troubles.drain(..) {
            self.taken.remove(&trouble.place());
        }
        metrics::turn("relay", started.elapsed());
        Ok(())
    }
}

/// The record of a row; none for one that this program never writes.
fn record(row: PendingRow, at: DateTime<Utc>) -> Option<Record> {
    let message = row.message;
    let topic: Topic = message.topic.parse().ok()?;
    let headers: HashMap<String, String> = serde_json::from_str(&message.headers).ok()?;
    Some(Record {
        topic,
        key: message.kafka_key,
        event_id: message.event_id,
        value: message.payload,
        headers: headers.into_iter().collect(),
        at: Some(at),
    })
}
