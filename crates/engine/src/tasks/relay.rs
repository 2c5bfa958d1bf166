//! Outbox → bus.
//!
//! A pending message is a row. A row is sent once no earlier row of its ordering key is left, so that one message of a key is in
//! flight at a time, and first occurrences keep their order even while two processes work the same shard. An acknowledged row is
//! archived and deleted. A crash in between sends it again with the same event id and the same bytes.
//!
//! While the bus is unavailable, rows wait without a limit, and no attempt is counted. Only errors about one record concern that
//! record: if it will never be accepted, it is parked at once and blocks its key; for any other error it is retried later.
//!
//! The relay is woken after every commit that has written to the outbox, and by a period. Each acknowledgement may free the next
//! message of its key, so the table is read again after it. Between two periods only shards with a signal or an acknowledgement
//! are read: messages in flight are still in the table, and reading all of them again at every acknowledgement took a fifth of
//! PostgreSQL's time per essay (measured).

mod dedup_window;
pub mod embedded;
mod heads;
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

use super::shards::Shards;
use crate::backoff::backoff;
use crate::crash::CrashPoint;
use crate::error::Error;
use crate::ports::{Broker, Record, RecordPosition, SendError};
use crate::road::Engine;
use crate::{metrics, spans};
use dedup_window::DedupWindowWarning;
use heads::HeadReader;
use outcome::SendFailure;

/// Messages in flight at the same time, at most: enough to keep the bus busy, few enough to be sent again after a crash.
const WINDOW: usize = 2_000;
/// The relay reads more rows at once while at most this many messages are in flight. Above it, half of them must have been
/// acknowledged first, so that messages are sent in large groups, which Kafka batches.
const FEW: usize = 32;
/// Rows of one shard in one read, at most.
const SHARD_ROWS: u32 = 500;
/// The least time by which the lease must outlast the time-out of a message.
const MARGIN: Duration = Duration::from_secs(1);
/// The bound of the first pause while the bus is unavailable; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The bound of the longest pause while the bus is unavailable.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Sends messages until `end`. Messages that are in the outbox then stay for the next start or for another process.
pub async fn run(engine: Arc<Engine>, broker: Arc<dyn Broker>, mut shards: Shards, end: CancellationToken) {
    let mut relay = Relay::new(Arc::clone(&engine), broker, shards.clone());
    while !end.is_cancelled() {
        if let Err(error) = relay.send().await {
            tracing::warn!(%error, "cannot read the outbox; retrying");
        }
        tokio::select! {
            biased;
            () = end.cancelled() => {}
            () = relay.await_acks(), if relay.has_in_flight() => {}
            () = engine.signals.relay.notified() => {}
            () = shards.renewed() => {}
            () = engine.clock.sleep(engine.settings.relay_period) => {}
        }
        if let Err(error) = relay.record_outcomes().await {
            tracing::warn!(%error, "cannot record which messages were sent; retrying");
            // The outcomes are kept, and none of these messages is sent again meanwhile.
            engine.clock.sleep(FIRST_PAUSE).await;
        }
    }
    // Messages in flight are awaited and recorded, so that they need not be sent again.
    while relay.has_in_flight() {
        relay.await_acks().await;
    }
    if let Err(error) = relay.record_outcomes().await {
        tracing::warn!(%error, "cannot record which messages were sent; they will be sent again");
    }
}

/// The key of an outbox row: its shard and its id in the shard.
type RowId = (i64, i64);

/// The relay: the messages in flight, and the outcomes that are not recorded yet.
#[derive(Debug)]
pub struct Relay {
    engine: Arc<Engine>,
    broker: Arc<dyn Broker>,
    shards: Shards,
    heads: HeadReader,
    dedup_warning: DedupWindowWarning,
    acks: FuturesUnordered<BoxFuture<'static, (RowId, Result<RecordPosition, SendError>)>>,
    /// Rows that are in flight or whose outcome is not recorded. They are still in the table and must not be sent again.
    in_flight: HashMap<RowId, InFlight>,
    sent: Vec<Sent>,
    failed: Vec<SendFailure>,
    /// Shards in which a message was acknowledged since they were last read.
    acknowledged: BTreeSet<i64>,
    /// When all shards are to be read next: rows that other processes write are not signalled here.
    all_at: Duration,
    /// The number of messages in flight after the last read that found some.
    most_in_flight: usize,
    /// Consecutive pauses since the last acknowledgement.
    outages: u32,
    paused_until: Duration,
}

/// What the relay keeps of a message in flight.
#[derive(Debug, Clone, Copy)]
struct InFlight {
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
            heads: HeadReader::default(),
            dedup_warning: DedupWindowWarning::default(),
            acks: FuturesUnordered::new(),
            in_flight: HashMap::new(),
            sent: Vec::new(),
            failed: Vec::new(),
            acknowledged: BTreeSet::new(),
            all_at: Duration::ZERO,
            most_in_flight: 0,
            outages: 0,
            paused_until: Duration::ZERO,
        }
    }

    /// Sends the messages that may be sent now, without waiting for acknowledgements. Returns how many.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn send(&mut self) -> Result<usize, Error> {
        let now = self.engine.clock.monotonic();
        // Messages to a partition without a leader may hang: once per period the others are sent all the same.
        let most = if now >= self.all_at { WINDOW / 2 } else { FEW.max(self.most_in_flight / 2) };
        if now < self.paused_until || self.in_flight.len() > most {
            return Ok(0);
        }
        let lease = self.engine.settings.message_timeout + MARGIN;
        let shards = self.shards_to_read(self.shards.held_for(lease), now);
        if shards.is_empty() {
            return Ok(0);
        }
        let (heads, read_at) = self.heads.read(&self.engine, shards, now).await?;
        if heads.len() >= WINDOW {
            // There may be more in shards that this read did not reach.
            self.all_at = now;
        }
        // The read may have taken long: shards whose lease ends too soon are left to their next holder.
        let still_held: HashSet<i64> = self.shards.held_for(lease).into_iter().collect();
        let fresh: Vec<PendingRow> = heads
            .into_iter()
            .filter(|row| still_held.contains(&row.message.shard))
            .filter(|row| !self.in_flight.contains_key(&(row.message.shard, row.id)))
            .collect();
        if fresh.is_empty() {
            return Ok(0);
        }
        self.dedup_warning.check(&fresh, read_at, now);
        self.engine.crash.at(CrashPoint::BeforePublish)?;
        let sent = fresh.len();
        for row in fresh {
            self.send_row(row, read_at);
        }
        metrics::in_flight(self.acks.len());
        self.most_in_flight = self.in_flight.len();
        self.heads.advance_marks(&self.engine, still_held.into_iter().collect(), now).await?;
        Ok(sent)
    }

    /// Those of these shards that may have new messages to send.
    fn shards_to_read(&mut self, mut shards: Vec<i64>, now: Duration) -> Vec<i64> {
        if shards.is_empty() {
            // No lease at present. The signals are kept for the first read after the next renewal.
            return shards;
        }
        let mut signalled = self.engine.signals.take_written();
        signalled.append(&mut self.acknowledged);
        if now >= self.all_at {
            self.all_at = now + self.engine.settings.relay_period;
        } else {
            shards.retain(|shard| signalled.contains(shard));
        }
        shards
    }

    fn send_row(&mut self, row: PendingRow, at: DateTime<Utc>) {
        let id = (row.message.shard, row.id);
        self.in_flight.insert(id, InFlight { attempts: row.attempts, created_at: row.created_at });
        match record(row, at) {
            Some(mut record) => {
                let span = spans::send_span(&mut record);
                let ack = self.broker.send(record);
                self.acks.push(Box::pin(async move {
                    let outcome = ack.await;
                    if let Some(span) = span {
                        spans::record_answer(&span, outcome);
                    }
                    (id, outcome)
                }));
            }
            None => self.set_outcome(id, Err(SendError::Refused { code: "record_invalid" })),
        }
    }

    /// Whether any message waits for its acknowledgement.
    pub fn has_in_flight(&self) -> bool {
        !self.acks.is_empty()
    }

    /// Waits for the next answer of the bus, and takes all answers that have come by then. Cancel-safe.
    pub async fn await_acks(&mut self) {
        let Some((id, outcome)) = self.acks.next().await else { return };
        self.set_outcome(id, outcome);
        while let Some(Some((id, outcome))) = futures::FutureExt::now_or_never(self.acks.next()) {
            self.set_outcome(id, outcome);
        }
        metrics::in_flight(self.acks.len());
    }

    fn set_outcome(&mut self, row: RowId, outcome: Result<RecordPosition, SendError>) {
        let (shard, id) = row;
        match outcome {
            Ok(RecordPosition { partition, offset }) => {
                self.outages = 0;
                self.paused_until = Duration::ZERO;
                self.engine.set_bus_outage(None);
                if let Some(message) = self.in_flight.get(&row) {
                    metrics::outbox_wait(self.engine.clock.now() - message.created_at);
                }
                self.sent.push(Sent { shard, id, partition, offset });
            }
            Err(SendError::Unavailable { code }) => {
                self.in_flight.remove(&row);
                metrics::count(metrics::SEND_FAILURES, Some(("code", code)), 1);
                self.pause(code);
            }
            Err(SendError::Refused { code }) => {
                metrics::count(metrics::SEND_FAILURES, Some(("code", code)), 1);
                self.failed.push(SendFailure::permanent(row, code));
            }
            Err(SendError::Failed { code }) => {
                metrics::count(metrics::SEND_FAILURES, Some(("code", code)), 1);
                let Some(message) = self.in_flight.get(&row).copied() else { return };
                self.failed.push(SendFailure::retried(row, code, message, self.engine.clock.as_ref()));
            }
        }
    }

    /// Pauses all sending with back-off, because the bus is unavailable. Messages that fail during a pause do not prolong it, so
    /// that a whole window that fails together counts once.
    fn pause(&mut self, code: &'static str) {
        let now = self.engine.clock.monotonic();
        if now < self.paused_until {
            return;
        }
        let pause = backoff(self.engine.clock.as_ref(), FIRST_PAUSE, LONGEST_PAUSE, self.outages);
        self.outages = self.outages.saturating_add(1);
        self.paused_until = now + pause;
        self.engine.set_bus_outage(Some(code));
        tracing::warn!(
            code,
            pause_ms = pause.as_millis(),
            "the event bus is unavailable; messages stay in the outbox; retrying after the pause"
        );
    }

    /// Records the outcomes that have come in the database.
    ///
    /// # Errors
    /// When the database does not answer. The outcomes are kept for the next call then.
    pub async fn record_outcomes(&mut self) -> Result<(), Error> {
        if self.sent.is_empty() && self.failed.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        self.engine.crash.at(CrashPoint::Published)?;
        outcome::record(&self.engine, &self.sent, &self.failed).await?;
        metrics::count(metrics::RELAYED, None, self.sent.len() as u64);
        for sent in self.sent.drain(..) {
            self.acknowledged.insert(sent.shard);
            self.in_flight.remove(&(sent.shard, sent.id));
        }
        for failure in self.failed.drain(..) {
            self.in_flight.remove(&failure.row());
        }
        metrics::turn("relay", started.elapsed());
        Ok(())
    }
}

/// The record of an outbox row; `None` for a row that this program never writes.
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
