//! Whole-table scans for the audit, page by page and without locks. A page continues after the last row of the page before.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::Error;
use crate::param::params;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// A committed message, from `outbox` or `outbox_sent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedRow {
    /// The shard and the row id.
    pub place: (i64, i64),
    /// When it was sent; `None` for a row of `outbox`.
    pub sent_at: Option<DateTime<Utc>>,
    /// Whether it is parked.
    pub parked: bool,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// The event id, which receivers deduplicate by.
    pub event_id: Uuid,
    /// The key within which messages are ordered.
    pub ordering_key: String,
    /// The position within the ordering key.
    pub key_seq: i64,
    /// The Kafka topic.
    pub topic: String,
    /// The Kafka key.
    pub kafka_key: String,
    /// The envelope.
    pub payload: Vec<u8>,
}

/// Topic, partition and offset of a dead letter.
pub type DeadLetterPosition = (String, i64, i64);

const WAITING: Sql = Sql::both(
    "outbox",
    "audit pending messages",
    "SELECT shard, id, state, created_at, event_id, ordering_key, key_seq, topic, kafka_key, payload FROM outbox \
     WHERE (shard, id) > ($1, $2) ORDER BY shard, id LIMIT $3",
);

const SENT: Sql = Sql::both(
    "outbox_sent",
    "audit sent messages",
    "SELECT shard, id, sent_at, created_at, event_id, ordering_key, key_seq, topic, kafka_key, payload FROM outbox_sent \
     WHERE (sent_at, shard, id) > ($1, $2, $3) ORDER BY sent_at, shard, id LIMIT $4",
);

const APPLIED: Sql = Sql::both(
    "inbox",
    "audit applied events",
    "SELECT batch_id, event_id FROM inbox WHERE consumer = $1 AND (batch_id, event_id) > ($2, $3) \
     ORDER BY batch_id, event_id LIMIT $4",
);

const ASIDE: Sql = Sql::both(
    "dead_letters",
    "audit dead letters",
    "SELECT topic, part, off FROM dead_letters WHERE consumer = $1 AND (topic, part, off) > ($2, $3, $4) \
     ORDER BY topic, part, off LIMIT $5",
);

const BATCHES: Sql = Sql::both(
    "batches",
    "audit batches",
    "SELECT batch_id FROM batches WHERE batch_id > $1 ORDER BY batch_id LIMIT $2",
);

/// Reads a row of either table: their columns are the same but for the third.
fn committed(row: &Row<'_>, sent_at: Option<DateTime<Utc>>, parked: bool) -> Result<CommittedRow, Error> {
    Ok(CommittedRow {
        place: (row.get(0)?, row.get(1)?),
        sent_at,
        parked,
        created_at: row.get(3)?,
        event_id: row.get(4)?,
        ordering_key: row.get(5)?,
        key_seq: row.get(6)?,
        topic: row.get(7)?,
        kafka_key: row.get(8)?,
        payload: row.get(9)?,
    })
}

impl Tx {
    /// Messages of `outbox` after a position (shard, row id), which for the first page is below all.
    pub async fn audit_outbox(&mut self, after: (i64, i64), limit: u32) -> Result<Vec<CommittedRow>, Error> {
        self.all(WAITING, params![after.0, after.1, limit], |row| {
            committed(row, None, row.get::<i64>(2)? != 0)
        })
        .await
    }

    /// Messages of `outbox_sent` after a position (time of sending, (shard, row id)).
    pub async fn audit_sent(
        &mut self,
        after: (DateTime<Utc>, (i64, i64)),
        limit: u32,
    ) -> Result<Vec<CommittedRow>, Error> {
        let (at, (shard, id)) = after;
        self.all(SENT, params![at, shard, id, limit], |row| committed(row, Some(row.get(2)?), false)).await
    }

    /// Batch id and event id of events that a consumer has applied, after a position of the same form.
    pub async fn audit_inbox(
        &mut self,
        consumer: &str,
        after: (Uuid, Uuid),
        limit: u32,
    ) -> Result<Vec<(Uuid, Uuid)>, Error> {
        let rows = params![consumer, after.0, after.1, limit];
        self.all(APPLIED, rows, |row| Ok((row.get(0)?, row.get(1)?))).await
    }

    /// Positions of a consumer's dead letters, after one of them.
    pub async fn audit_dead_letters(
        &mut self,
        consumer: &str,
        after: &DeadLetterPosition,
        limit: u32,
    ) -> Result<Vec<DeadLetterPosition>, Error> {
        let (topic, partition, offset) = after;
        let rows = params![consumer, topic, *partition, *offset, limit];
        self.all(ASIDE, rows, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).await
    }

    /// Ids of batches after one of them.
    pub async fn audit_batches(&mut self, after: Uuid, limit: u32) -> Result<Vec<Uuid>, Error> {
        self.all(BATCHES, params![after, limit], |row| row.get(0)).await
    }
}
