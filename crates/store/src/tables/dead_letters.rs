//! `dead_letters`: messages that a consumer could not process. A row holds the position of the message in its topic and a hash
//! of its value, never the value.

use chrono::{DateTime, Utc};
use domain::BatchId;
use uuid::Uuid;

use crate::error::Error;
use crate::param::params;
use crate::row::Row;
use crate::sql::Sql;
use crate::tables::{QueueDepth, far_future};
use crate::tx::Tx;

/// A message that a consumer could not process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The consumer.
    pub consumer: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i64,
    /// The offset.
    pub offset: i64,
    /// The event id, if it could be read.
    pub event_id: Option<Uuid>,
    /// The batch it is about, if that could be read and is a batch of this service.
    pub batch_id: Option<BatchId>,
    /// The code of the reason.
    pub error_code: String,
    /// The SHA-256 hash of its value.
    pub value_sha256: Vec<u8>,
    /// When it was dead-lettered.
    pub at: DateTime<Utc>,
    /// For a message that came too early: it is processed again once its batch has a later revision than this. `None` if only
    /// an operator can resolve it.
    pub after_revision: Option<i64>,
}

/// The place of a dead letter in the list of all: latest first, then by consumer and position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterPlace {
    /// When it was dead-lettered.
    pub at: DateTime<Utc>,
    /// The consumer.
    pub consumer: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i64,
    /// The offset.
    pub offset: i64,
}

impl DeadLetterPlace {
    /// Before all dead letters.
    fn first() -> Self {
        let (consumer, topic) = (String::new(), String::new());
        Self { at: far_future(), consumer, topic, partition: i64::MIN, offset: i64::MIN }
    }
}

const INSERT: Sql = Sql::both(
    "dead_letters",
    "insert a dead letter",
    "INSERT INTO dead_letters (consumer, topic, part, off, event_id, batch_id, error_code, value_sha256, at, \
     after_revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
);

const LIST: Sql = Sql::both(
    "dead_letters",
    "list dead letters",
    "SELECT consumer, topic, part, off, event_id, batch_id, error_code, value_sha256, at, after_revision FROM dead_letters \
     WHERE at < $1 OR (at = $1 AND (consumer, topic, part, off) > ($2, $3, $4, $5)) \
     ORDER BY at DESC, consumer, topic, part, off LIMIT $6",
);

const ONE: Sql = Sql::both(
    "dead_letters",
    "read a dead letter",
    "SELECT consumer, topic, part, off, event_id, batch_id, error_code, value_sha256, at, after_revision FROM dead_letters \
     WHERE consumer = $1 AND topic = $2 AND part = $3 AND off = $4",
);

const DELETE: Sql = Sql::both(
    "dead_letters",
    "delete a dead letter",
    "DELETE FROM dead_letters WHERE consumer = $1 AND topic = $2 AND part = $3 AND off = $4",
);

const DUE: Sql = Sql::both(
    "dead_letters",
    "list dead letters that are due",
    "SELECT d.consumer, d.topic, d.part, d.off, d.event_id, d.batch_id, d.error_code, d.value_sha256, d.at, d.after_revision \
     FROM dead_letters d JOIN batches b ON b.batch_id = d.batch_id \
     WHERE d.after_revision IS NOT NULL AND b.revision > d.after_revision AND d.consumer = $1 \
     ORDER BY d.topic, d.part, d.off LIMIT $2",
);

const UPDATE: Sql = Sql::both(
    "dead_letters",
    "update a dead letter",
    "UPDATE dead_letters SET error_code = $1, after_revision = $2 \
     WHERE consumer = $3 AND topic = $4 AND part = $5 AND off = $6",
);

const DEPTH: Sql = Sql::both(
    "dead_letters",
    "count dead letters",
    "SELECT CAST(count(*) AS BIGINT), min(at) FROM dead_letters",
);

fn letter(row: &Row<'_>) -> Result<DeadLetter, Error> {
    Ok(DeadLetter {
        consumer: row.get(0)?,
        topic: row.get(1)?,
        partition: row.get(2)?,
        offset: row.get(3)?,
        event_id: row.get(4)?,
        batch_id: row.get(5)?,
        error_code: row.get(6)?,
        value_sha256: row.get(7)?,
        at: row.get(8)?,
        after_revision: row.get(9)?,
    })
}

impl Tx {
    /// Inserts a dead letter; returns false if there already is one at its position.
    pub async fn insert_dead_letter(&mut self, letter: &DeadLetter) -> Result<bool, Error> {
        let values = params![
            &letter.consumer,
            &letter.topic,
            letter.partition,
            letter.offset,
            letter.event_id,
            letter.batch_id,
            &letter.error_code,
            &letter.value_sha256,
            letter.at,
            letter.after_revision,
        ];
        Ok(self.exec(INSERT, values).await? == 1)
    }

    /// A page of dead letters, latest first: at most `limit` after a place; without one, from the latest.
    pub async fn dead_letters(
        &mut self,
        after: Option<DeadLetterPlace>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, Error> {
        let DeadLetterPlace { at, consumer, topic, partition, offset } =
            after.unwrap_or_else(DeadLetterPlace::first);
        self.all(LIST, params![at, &consumer, &topic, partition, offset, limit], letter).await
    }

    /// The dead letter of a consumer at this position.
    pub async fn dead_letter(
        &mut self,
        consumer: &str,
        topic: &str,
        partition: i64,
        offset: i64,
    ) -> Result<Option<DeadLetter>, Error> {
        self.one(ONE, params![consumer, topic, partition, offset], letter).await
    }

    /// At most `limit` dead letters of a consumer that came too early and whose batch has a later revision since, by position.
    pub async fn due_dead_letters(&mut self, consumer: &str, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        self.all(DUE, params![consumer, limit], letter).await
    }

    /// Updates the error code and the awaited revision of a dead letter; does nothing if it was deleted.
    pub async fn update_dead_letter(&mut self, letter: &DeadLetter) -> Result<(), Error> {
        let values = params![
            &letter.error_code,
            letter.after_revision,
            &letter.consumer,
            &letter.topic,
            letter.partition,
            letter.offset,
        ];
        self.exec(UPDATE, values).await.map(drop)
    }

    /// Deletes the dead letter of a consumer at this position; returns false if there is none.
    pub async fn delete_dead_letter(
        &mut self,
        consumer: &str,
        topic: &str,
        partition: i64,
        offset: i64,
    ) -> Result<bool, Error> {
        Ok(self.exec(DELETE, params![consumer, topic, partition, offset]).await? == 1)
    }

    /// The number of dead letters, and when the oldest was dead-lettered.
    pub async fn dead_letter_depth(&mut self) -> Result<QueueDepth, Error> {
        let depth =
            self.one(DEPTH, &[], |row| Ok(QueueDepth { rows: row.get(0)?, oldest_at: row.get(1)? })).await?;
        Ok(depth.unwrap_or_default())
    }
}
