//! `outbox` and `outbox_sent`: pending messages and the archive of sent ones.
//!
//! A message is pending because it has a row, not because of its position: a row that commits late is seen late, but it is not
//! missed. Messages of an ordering key are sent in order, because `key_seq` is taken under the batch's lock and a message is
//! sent only when no earlier one of its key has a row. A parked row therefore blocks its key and no other.

pub(crate) mod operator;

use std::borrow::Borrow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::Error;
use crate::param::{Json, Param, params};
use crate::row::JsonText;
use crate::sql::Sql;
use crate::tables::LowWaterMark;
use crate::tx::Tx;

/// A message to send. Its payload never changes.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// The shard of the batch's slot.
    pub shard: i64,
    /// The event id, which receivers deduplicate by.
    pub event_id: Uuid,
    /// Messages with the same ordering key are sent one at a time, in the order of `key_seq`.
    pub ordering_key: String,
    /// The position within the ordering key, from the batch's `next_key_seq`.
    pub key_seq: i64,
    /// The Kafka topic.
    pub topic: String,
    /// The Kafka key.
    pub kafka_key: String,
    /// The envelope, at most 900,000 bytes (a check of the table).
    pub payload: Vec<u8>,
    /// The Kafka headers, as a JSON object.
    pub headers: String,
}

impl std::fmt::Debug for OutboxRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutboxRow({} to {}, {} bytes)", self.event_id, self.topic, self.payload.len())
    }
}

/// A message that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRow {
    /// The row id within its shard.
    pub id: i64,
    /// Failed attempts that were due to this message.
    pub attempts: u32,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// The message.
    pub message: OutboxRow,
}

/// A message that the broker has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The shard.
    pub shard: i64,
    /// The row id within the shard.
    pub id: i64,
    /// Its Kafka partition.
    pub partition: i64,
    /// Its Kafka offset.
    pub offset: i64,
}

/// The size of the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxDepth {
    /// Pending messages.
    pub pending: i64,
    /// Parked messages, each of which blocks its ordering key.
    pub parked: i64,
    /// When the oldest pending message was enqueued.
    pub oldest_at: Option<DateTime<Utc>>,
    /// When the oldest parked message was enqueued.
    pub oldest_parked_at: Option<DateTime<Utc>>,
}

const ENQUEUE: Sql = Sql::both(
    "outbox",
    "enqueue messages",
    "INSERT INTO outbox (shard, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, not_before, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
);

/// Names the conflict target: a second message at the same position of an ordering key is a defect and must fail.
const ENQUEUE_ONCE: &str = "ON CONFLICT (shard, event_id) DO NOTHING";

/// The lateral query of a shard stops at its limit, and the whole query at its own limit before it reads further shards.
///
/// PostgreSQL would turn `NOT EXISTS` into a join. With statistics from when the queue was empty, that join compares every
/// message with every other: 270 ms for 500 messages, against 5 ms by the index (measured).
const HEADS: Sql = Sql::each(
    "outbox",
    "list messages to send",
    "SELECT h.* FROM UNNEST($4::bigint[], $5::bigint[]) AS s (shard, low) CROSS JOIN LATERAL ( \
       SELECT shard, id, attempts, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, created_at \
       FROM outbox o WHERE shard = s.shard AND id >= s.low AND state = 0 AND not_before <= $1 AND ( \
         SELECT p.key_seq FROM outbox p \
         WHERE p.shard = o.shard AND p.ordering_key = o.ordering_key AND p.key_seq < o.key_seq \
         ORDER BY p.key_seq LIMIT 1) IS NULL \
       ORDER BY shard, id LIMIT $2) AS h LIMIT $3",
    "SELECT shard, id, attempts, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, created_at \
     FROM outbox o WHERE shard = ?4 AND id >= ?5 AND state = 0 AND not_before <= ?1 AND NOT EXISTS ( \
       SELECT 1 FROM outbox p WHERE p.shard = o.shard AND p.ordering_key = o.ordering_key AND p.key_seq < o.key_seq) \
     ORDER BY shard, id LIMIT min(?2, ?3)",
);

const LOW: Sql = Sql::each(
    "outbox",
    "find the first messages to send",
    "SELECT s.shard, h.id FROM UNNEST($1::bigint[], $2::bigint[]) AS s (shard, low) CROSS JOIN LATERAL ( \
       SELECT id FROM outbox o WHERE o.shard = s.shard AND id >= s.low AND state = 0 ORDER BY o.shard, id LIMIT 1) AS h",
    "SELECT shard, id FROM outbox WHERE shard = ?1 AND id >= ?2 AND state = 0 ORDER BY shard, id LIMIT 1",
);

/// On PostgreSQL, one statement archives and deletes: if two relays hold an acknowledgement of a message, one of them deletes
/// the row and archives it, the other finds no row. A row that another transaction changes at the same moment stays, and its
/// message is sent again.
///
/// Each row is looked up by itself (`LIMIT 1`), because a join compared every sent message with every row: 400 ms for 500
/// messages. A range and `ORDER BY id`, because by statistics of an empty table all three indexes cost the same, and for
/// `id = …` PostgreSQL took one that begins with the shard only: it walked the rows of the shard for each message, and the
/// deleted rows too while a transaction of another database kept them from being skipped (decision 15).
const ARCHIVE: Sql = Sql::each(
    "outbox_sent",
    "archive sent messages",
    "WITH sent AS ( \
       DELETE FROM outbox o USING UNNEST($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) \
       AS n (shard, id, kafka_partition, kafka_offset) CROSS JOIN LATERAL ( \
         SELECT f.ctid FROM outbox f WHERE f.shard = n.shard AND f.id >= n.id AND f.id <= n.id \
         ORDER BY f.id LIMIT 1) AS found (place) \
       WHERE o.ctid = found.place RETURNING o.*, n.kafka_partition, n.kafka_offset) \
     INSERT INTO outbox_sent (shard, id, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, created_at, \
     kafka_partition, kafka_offset, sent_at) \
     SELECT shard, id, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, created_at, \
     kafka_partition, kafka_offset, $1 FROM sent",
    "INSERT INTO outbox_sent (shard, id, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, created_at, \
     kafka_partition, kafka_offset, sent_at) \
     SELECT shard, id, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, created_at, ?4, ?5, ?1 \
     FROM outbox WHERE shard = ?2 AND id = ?3",
);

const DELETE: Sql =
    Sql::both("outbox", "delete sent messages", "DELETE FROM outbox WHERE shard = $1 AND id = $2");

/// Looked up as in [`ARCHIVE`].
const POSTPONE: Sql = Sql::each(
    "outbox",
    "postpone a message",
    "UPDATE outbox SET not_before = $1, attempts = attempts + 1 WHERE ctid = ( \
       SELECT ctid FROM outbox WHERE shard = $2 AND id >= $3 AND id <= $3 ORDER BY id LIMIT 1) AND state = 0 \
     RETURNING attempts",
    "UPDATE outbox SET not_before = $1, attempts = attempts + 1 WHERE shard = $2 AND id = $3 AND state = 0 RETURNING attempts",
);

/// Looked up as in [`ARCHIVE`].
const PARK: Sql = Sql::each(
    "outbox",
    "park a message",
    "UPDATE outbox SET state = 2, error_code = $1 WHERE ctid = ( \
       SELECT ctid FROM outbox WHERE shard = $2 AND id >= $3 AND id <= $3 ORDER BY id LIMIT 1)",
    "UPDATE outbox SET state = 2, error_code = $1 WHERE shard = $2 AND id = $3",
);

const TO_LOG: Sql = Sql::both(
    "local_log",
    "move messages to the local log",
    "INSERT INTO local_log (topic, key, event_id, value, headers, at) \
     SELECT topic, kafka_key, event_id, payload, headers, $1 FROM outbox WHERE state = 0 ORDER BY id LIMIT $2",
);

const DELETE_MOVED: Sql = Sql::both(
    "outbox",
    "delete moved messages",
    "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE state = 0 ORDER BY id LIMIT $1)",
);

const DEPTH: Sql = Sql::both(
    "outbox",
    "measure the outbox",
    "SELECT CAST(count(*) FILTER (WHERE state = 0) AS BIGINT), CAST(count(*) FILTER (WHERE state = 2) AS BIGINT), \
     min(created_at) FILTER (WHERE state = 0), min(created_at) FILTER (WHERE state = 2) FROM outbox",
);

impl Tx {
    /// Adds messages to the outbox. A message whose event id is in the outbox already is not added.
    pub async fn enqueue<M: Borrow<OutboxRow> + Sync>(&mut self, messages: &[M]) -> Result<(), Error> {
        let now = self.now();
        let rows = messages.iter().map(Borrow::borrow).map(|m| {
            [
                m.shard.into(),
                m.event_id.into(),
                Param::from(&m.ordering_key),
                m.key_seq.into(),
                Param::from(&m.topic),
                Param::from(&m.kafka_key),
                Param::from(&m.payload),
                Json(&m.headers).into(),
                now.into(),
                now.into(),
            ]
        });
        self.insert_many_deferred(ENQUEUE, ENQUEUE_ONCE, rows).await
    }

    /// The due messages of these shards that are the first of their ordering key, from each shard's low-water mark on: at most
    /// `of_one` of a shard and `of_all` in total, in the order of `from`.
    pub async fn outbox_heads(
        &mut self,
        from: &[LowWaterMark<i64>],
        of_one: u32,
        of_all: u32,
    ) -> Result<Vec<PendingRow>, Error> {
        let now = self.now();
        let from = LowWaterMark::rows(from);
        self.all_many(HEADS, params![now, of_one, of_all], &from, |row| {
            Ok(PendingRow {
                id: row.get(1)?,
                attempts: row.get(2)?,
                created_at: row.get(10)?,
                message: OutboxRow {
                    shard: row.get(0)?,
                    event_id: row.get(3)?,
                    ordering_key: row.get(4)?,
                    key_seq: row.get(5)?,
                    topic: row.get(6)?,
                    kafka_key: row.get(7)?,
                    payload: row.get(8)?,
                    headers: row.get::<JsonText>(9)?.0,
                },
            })
        })
        .await
    }

    /// The first pending row of each of these shards from its low-water mark on: the next low-water marks. Shards without a
    /// pending row are omitted. A mark saves the scan of dead rows that a long transaction elsewhere keeps from being vacuumed.
    /// Search from 0 periodically, since a row with a lower id may commit late.
    pub async fn outbox_low(&mut self, from: &[LowWaterMark<i64>]) -> Result<Vec<LowWaterMark<i64>>, Error> {
        let from = LowWaterMark::rows(from);
        self.all_many(LOW, &[], &from, |row| Ok(LowWaterMark { shard: row.get(0)?, low: row.get(1)? })).await
    }

    /// Moves acknowledged messages to the archive. Messages that are no longer in the outbox are skipped.
    pub async fn outbox_sent(&mut self, sent: &[Sent]) -> Result<(), Error> {
        let now = self.now();
        let rows: Vec<_> =
            sent.iter().map(|s| [s.shard, s.id, s.partition, s.offset].map(Param::from)).collect();
        self.exec_many(ARCHIVE, params![now], &rows).await?;
        if self.is_sqlite() {
            let ids: Vec<_> = sent.iter().map(|s| [s.shard, s.id].map(Param::from)).collect();
            self.exec_many(DELETE, &[], &ids).await?;
        }
        Ok(())
    }

    /// Postpones a message until `not_before` and counts an attempt. Returns the attempts so far; `None` if the message is not
    /// pending. An unreachable broker is transient and not counted: do not call this for it.
    pub async fn postpone_outbox(
        &mut self,
        shard: i64,
        id: i64,
        not_before: DateTime<Utc>,
    ) -> Result<Option<u32>, Error> {
        self.one(POSTPONE, params![not_before, shard, id], |row| row.get(0)).await
    }

    /// Parks a message with an error code. Its ordering key is blocked until an operator decides; other keys are not.
    pub async fn park_outbox(&mut self, shard: i64, id: i64, code: &str) -> Result<(), Error> {
        self.exec(PARK, params![code, shard, id]).await.map(drop)
    }

    /// SQLite: moves at most `limit` of the oldest pending messages to the local log, in order. Returns how many. They are not
    /// archived, because the log keeps them.
    pub async fn outbox_to_log(&mut self, limit: u32) -> Result<u64, Error> {
        let now = self.now();
        let moved = self.exec(TO_LOG, params![now, limit]).await?;
        if moved > 0 {
            self.exec(DELETE_MOVED, params![limit]).await?;
        }
        Ok(moved)
    }

    /// The size of the outbox, over all shards.
    pub async fn outbox_depth(&mut self) -> Result<OutboxDepth, Error> {
        let depth = self
            .one(DEPTH, &[], |row| {
                Ok(OutboxDepth {
                    pending: row.get(0)?,
                    parked: row.get(1)?,
                    oldest_at: row.get(2)?,
                    oldest_parked_at: row.get(3)?,
                })
            })
            .await?;
        Ok(depth.unwrap_or_default())
    }
}
