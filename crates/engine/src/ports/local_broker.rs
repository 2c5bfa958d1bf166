//! The embedded event bus: a log table in the engine's own database.
//!
//! Outbox rows become log rows in one transaction, so a crash can neither publish a message twice nor leave it both in the outbox
//! and on the bus. A unit moves the rows that it wrote before its COMMIT ([`LocalBroker::move_outbox_in`]); the relay moves what
//! is left. Committed positions of readers are not written at once, which would cost a COMMIT each, but with the next write or in
//! the relay's next period. After a crash some messages are therefore delivered again, as on every bus.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use contract::Topic;
use futures::future::BoxFuture;
use store::{Lane, LogRecord, LogRow, Store, Tx};
use tokio::sync::watch;

use super::broker::{Broker, BrokerError, Delivery, Record, RecordPosition, SendError, Subscription};
use crate::metrics;
use crate::traceparent::Traceparent;

/// Messages that move from the outbox onto the log in one transaction, at most.
const MOVE_ROWS: u32 = 2_000;
/// Bytes that a reader gets at once, at most: 8 MiB.
pub(crate) const READ_BYTES: usize = 8 << 20;

/// The embedded event bus. Clones share it.
#[derive(Debug, Clone)]
pub struct LocalBroker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    /// The id of the last record, for the readers to wait on.
    end: watch::Sender<i64>,
    /// Committed positions that are not written yet: consumer → the last id that it has processed.
    unwritten: Mutex<HashMap<&'static str, i64>>,
}

/// What a transaction has appended to the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moved {
    /// The number of records.
    pub(crate) rows: u64,
    /// The id of the last record; 0 when there was none.
    end: i64,
}

impl Moved {
    /// Whether rows may be left in the outbox, because a transaction moves at most [`MOVE_ROWS`].
    pub(crate) fn may_leave_rows(self) -> bool {
        self.rows >= u64::from(MOVE_ROWS)
    }
}

/// What to append to the log.
#[derive(Debug)]
enum Write {
    Outbox,
    Records(Vec<LogRow>),
}

impl LocalBroker {
    /// Opens the bus on the log of this database.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn open(store: Store) -> Result<Self, store::Error> {
        let end = store.read(|tx| Box::pin(async move { tx.log_end().await })).await?;
        Ok(Self {
            shared: Arc::new(Shared { store, end: watch::Sender::new(end), unwritten: Mutex::default() }),
        })
    }

    /// Moves pending outbox rows onto the log within a unit. After the COMMIT, call [`LocalBroker::notify_readers`].
    pub(crate) async fn move_outbox_in(tx: &mut Tx) -> Result<Moved, store::Error> {
        write_in(tx, &Write::Outbox, &[]).await
    }

    /// Wakes the readers after a unit with [`LocalBroker::move_outbox_in`] is committed.
    pub(crate) fn notify_readers(&self, moved: Moved) {
        metrics::count(metrics::RELAYED, None, moved.rows);
        self.advance_end(moved.end);
    }

    fn advance_end(&self, end: i64) {
        self.shared.end.send_if_modified(|old| {
            let newer = end > *old;
            *old = end.max(*old);
            newer
        });
    }

    /// Moves pending outbox rows onto the log and writes committed positions. Returns how many rows moved.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn move_outbox(&self) -> Result<u64, store::Error> {
        Ok(self.write(Write::Outbox).await?.rows)
    }

    /// Appends to the log, writes the positions that were committed since the last write, and wakes the readers.
    async fn write(&self, write: Write) -> Result<Moved, store::Error> {
        let positions: Vec<_> = self.positions().drain().collect();
        let (write, positions) = (Arc::new(write), Arc::new(positions));
        let unit = (Arc::clone(&write), Arc::clone(&positions));
        let outcome = self
            .shared
            .store
            .unit(Lane::Task, move |tx| {
                let (write, positions) = unit.clone();
                Box::pin(async move { write_in(tx, &write, &positions).await })
            })
            .await;
        match outcome {
            Ok(moved) => {
                self.advance_end(moved.end);
                Ok(moved)
            }
            Err(error) => {
                for (consumer, position) in positions.iter() {
                    self.positions().entry(consumer).or_insert(*position);
                }
                Err(error)
            }
        }
    }

    fn positions(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, i64>> {
        self.shared.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write_in(
    tx: &mut Tx,
    write: &Write,
    positions: &[(&'static str, i64)],
) -> Result<Moved, store::Error> {
    for (consumer, position) in positions {
        tx.set_log_position(consumer, *position + 1).await?;
    }
    let rows = match write {
        Write::Outbox => tx.outbox_to_log(MOVE_ROWS).await?,
        Write::Records(rows) => {
            tx.append_log(rows).await?;
            rows.len() as u64
        }
    };
    Ok(Moved { rows, end: if rows == 0 { 0 } else { tx.log_end().await? } })
}

#[async_trait]
impl Broker for LocalBroker {
    fn send(&self, record: Record) -> BoxFuture<'static, Result<RecordPosition, SendError>> {
        let broker = self.clone();
        Box::pin(async move {
            let moved = broker.write(Write::Records(vec![row(record)])).await;
            let moved = moved.map_err(|_| SendError::Unavailable { code: "database" })?;
            Ok(RecordPosition { partition: 0, offset: moved.end })
        })
    }

    async fn publish(&self, records: Vec<Record>) -> Result<(), BrokerError> {
        if records.is_empty() {
            return Ok(());
        }
        let rows = records.into_iter().map(row).collect();
        self.write(Write::Records(rows)).await.map_err(cannot("publish"))?;
        Ok(())
    }

    async fn subscribe(
        &self,
        consumer: &'static str,
        topics: Vec<Topic>,
    ) -> Result<Box<dyn Subscription>, BrokerError> {
        let next = self
            .shared
            .store
            .read(move |tx| Box::pin(async move { tx.log_position(consumer).await }))
            .await
            .map_err(cannot("read the position of a reader"))?;
        let position = next.map_or(0, |next| next - 1);
        Ok(Box::new(LocalSubscription {
            broker: self.clone(),
            end: self.shared.end.subscribe(),
            consumer,
            topics: topics.iter().map(|topic| topic.as_str()).collect(),
            position,
            committed: position,
        }))
    }

    async fn fetch(
        &self,
        topic: Topic,
        positions: Vec<RecordPosition>,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let ids: Vec<i64> = positions.into_iter().map(|position| position.offset).collect();
        let read = self.shared.store.read(move |tx| {
            let ids = ids.clone();
            Box::pin(async move {
                let mut records = Vec::with_capacity(ids.len());
                for id in ids {
                    let page = tx.read_log(id - 1, &[topic.as_str()], 1, READ_BYTES).await?;
                    records.extend(page.records.into_iter().filter(|record| record.id == id));
                }
                Ok::<_, store::Error>(records)
            })
        });
        Ok(read.await.map_err(cannot("read records again"))?.into_iter().filter_map(delivery).collect())
    }
}

/// A subscription to the log.
#[derive(Debug)]
struct LocalSubscription {
    broker: LocalBroker,
    end: watch::Receiver<i64>,
    consumer: &'static str,
    topics: Arc<[&'static str]>,
    /// The id of the last record that was returned or skipped.
    position: i64,
    committed: i64,
}

#[async_trait]
impl Subscription for LocalSubscription {
    async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        loop {
            let after = self.position;
            let _ = self.end.wait_for(|end| *end > after).await;
            let topics = Arc::clone(&self.topics);
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            let read = self
                .broker
                .shared
                .store
                .read(move |tx| Box::pin(async move { tx.read_log(after, &topics, limit, READ_BYTES).await }))
                .await
                .map_err(cannot("read"))?;
            self.position = read.scanned_to.max(after);
            let deliveries: Vec<Delivery> = read.records.into_iter().filter_map(delivery).collect();
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
        }
    }

    async fn commit(&mut self) -> Result<(), BrokerError> {
        self.committed = self.position;
        self.broker.positions().insert(self.consumer, self.position);
        Ok(())
    }

    async fn rewind(&mut self) -> Result<(), BrokerError> {
        self.position = self.committed;
        Ok(())
    }
}

/// A record of the log as its readers get it; `None` for an unknown topic.
pub(crate) fn delivery(record: LogRecord) -> Option<Delivery> {
    Some(Delivery {
        topic: record.row.topic.parse().ok()?,
        partition: 0,
        offset: record.id,
        key: record.row.key,
        value: record.row.value.into(),
        trace: trace_context(&record.row.headers),
    })
}

fn cannot(doing: &'static str) -> impl Fn(store::Error) -> BrokerError {
    move |source| BrokerError { doing, source: Box::new(source) }
}

fn row(record: Record) -> LogRow {
    LogRow {
        topic: record.topic.as_str().to_owned(),
        key: record.key,
        event_id: record.event_id,
        value: record.value,
        headers: headers_json(&record.headers),
    }
}

/// The trace context in these headers.
fn trace_context(headers: &str) -> Option<Traceparent> {
    #[derive(serde::Deserialize)]
    struct TraceHeader<'a> {
        traceparent: Option<&'a str>,
    }
    // Most headers have none, and a search for the name is cheaper than parsing.
    if !headers.contains(Traceparent::HEADER) {
        return None;
    }
    serde_json::from_str::<TraceHeader<'_>>(headers).ok()?.traceparent?.parse().ok()
}

fn headers_json(headers: &[(String, String)]) -> String {
    let map: serde_json::Map<String, serde_json::Value> =
        headers.iter().map(|(name, value)| (name.clone(), serde_json::Value::from(value.as_str()))).collect();
    serde_json::Value::Object(map).to_string()
}
