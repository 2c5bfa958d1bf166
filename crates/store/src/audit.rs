//! What an audit reads: whole tables, page by page, none of it locked. A page goes on behind the last row of the one before.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::Error;
use crate::param::{Row, params};
use crate::tx::{Sql, Tx};

/// A message that was committed: still to be sent, or sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedRow {
    /// The shard and the row's number within it.
    pub place: (i64, i64),
    /// When it was sent; none while it waits.
    pub sent_at: Option<DateTime<Utc>>,
    /// Whether it is set aside.
    pub parked: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The id that receivers deduplicate by.
    pub event_id: Uuid,
    /// What it is ordered by, and its place in that order.
    pub ordering_key: String,
    /// The place in that order.
    pub key_seq: i64,
    /// The topic.
    pub topic: String,
    /// The key it has there.
    pub kafka_key: String,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// The place of a message that was set aside: its topic, its partition and its offset there.
pub type AsidePlace = (String, i64, i64);

const WAITING: Sql = Sql::both(
    "outbox",
    "audit messages to send",
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
    "audit messages set aside",
    "SELECT topic, part, off FROM dead_letters WHERE consumer = $1 AND (topic, part, off) > ($2, $3, $4) \
     ORDER BY topic, part, off LIMIT $5",
);

const BATCHES: Sql = Sql::both(
    "batches",
    "audit batches",
    "SELECT batch_id FROM batches WHERE batch_id > $1 ORDER BY batch_id LIMIT $2",
);

/// Both tables list the same columns in the same order; the third is theirs alone.
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
    /// Messages that wait, behind `after`.
    pub async fn audit_waiting(&mut self, after: (i64, i64), limit: u32) -> Result<Vec<CommittedRow>, Error> {
        self.all(WAITING, params![after.0, after.1, limit], |row| {
            committed(row, None, row.get::<i64>(2)? != 0)
        })
        .await
    }

    /// Messages that were sent, behind the one that was sent then from that place.
    pub async fn audit_sent(
        &mut self,
        after: (DateTime<Utc>, (i64, i64)),
        limit: u32,
    ) -> Result<Vec<CommittedRow>, Error> {
        let (at, (shard, id)) = after;
        self.all(SENT, params![at, shard, id, limit], |row| committed(row, Some(row.get(2)?), false)).await
    }

    /// Ids of events that were applied, each with its batch, behind `after`.
    pub async fn audit_applied(
        &mut self,
        consumer: &str,
        after: (Uuid, Uuid),
        limit: u32,
    ) -> Result<Vec<(Uuid, Uuid)>, Error> {
        let rows = params![consumer, after.0, after.1, limit];
        self.all(APPLIED, rows, |row| Ok((row.get(0)?, row.get(1)?))).await
    }

    /// Places of messages that were set aside, behind `after`.
    pub async fn audit_aside(
        &mut self,
        consumer: &str,
        after: &AsidePlace,
        limit: u32,
    ) -> Result<Vec<AsidePlace>, Error> {
        let (topic, part, off) = after;
        let rows = params![consumer, topic, *part, *off, limit];
        self.all(ASIDE, rows, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).await
    }

    /// Ids of batches, behind `after`.
    pub async fn audit_batches(&mut self, after: Uuid, limit: u32) -> Result<Vec<Uuid>, Error> {
        self.all(BATCHES, params![after, limit], |row| row.get(0)).await
    }
}
