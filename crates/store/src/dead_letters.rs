//! `dead_letters`: messages set aside. A row points at the message in its topic and holds a hash of it, never the message.

use chrono::{DateTime, Utc};
use domain::BatchId;
use uuid::Uuid;

use crate::error::Error;
use crate::param::{Row, params};
use crate::timers::Waiting;
use crate::tx::{Sql, Tx};

/// A message set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The consumer that could not use it.
    pub consumer: String,
    /// The topic it is in.
    pub topic: String,
    /// The partition.
    pub part: i64,
    /// The offset.
    pub off: i64,
    /// Its event id, if it could be read.
    pub event_id: Option<Uuid>,
    /// The batch it is about, if that could be read and is ours.
    pub batch_id: Option<BatchId>,
    /// The reason.
    pub error_code: String,
    /// The hash of its value.
    pub value_sha256: Vec<u8>,
    /// When it was set aside.
    pub at: DateTime<Utc>,
    /// Too early: worth dealing with again once its batch is past this revision. None where only an operator can help.
    pub after_revision: Option<i64>,
}

const SET_ASIDE: Sql = Sql::both(
    "dead_letters",
    "set a message aside",
    "INSERT INTO dead_letters (consumer, topic, part, off, event_id, batch_id, error_code, value_sha256, at, \
     after_revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
);

const LIST: Sql = Sql::both(
    "dead_letters",
    "list messages set aside",
    "SELECT consumer, topic, part, off, event_id, batch_id, error_code, value_sha256, at, after_revision FROM dead_letters \
     ORDER BY at DESC, consumer, topic, part, off LIMIT $1",
);

const ONE: Sql = Sql::both(
    "dead_letters",
    "read a message set aside",
    "SELECT consumer, topic, part, off, event_id, batch_id, error_code, value_sha256, at, after_revision FROM dead_letters \
     WHERE consumer = $1 AND topic = $2 AND part = $3 AND off = $4",
);

const DROP: Sql = Sql::both(
    "dead_letters",
    "drop a message set aside",
    "DELETE FROM dead_letters WHERE consumer = $1 AND topic = $2 AND part = $3 AND off = $4",
);

const DUE: Sql = Sql::both(
    "dead_letters",
    "list messages whose time may have come",
    "SELECT d.consumer, d.topic, d.part, d.off, d.event_id, d.batch_id, d.error_code, d.value_sha256, d.at, d.after_revision \
     FROM dead_letters d JOIN batches b ON b.batch_id = d.batch_id \
     WHERE d.after_revision IS NOT NULL AND b.revision > d.after_revision AND d.consumer = $1 \
     ORDER BY d.topic, d.part, d.off LIMIT $2",
);

const STAYS: Sql = Sql::both(
    "dead_letters",
    "keep a message set aside",
    "UPDATE dead_letters SET error_code = $1, after_revision = $2 \
     WHERE consumer = $3 AND topic = $4 AND part = $5 AND off = $6",
);

const DEPTH: Sql = Sql::both(
    "dead_letters",
    "count messages set aside",
    "SELECT CAST(count(*) AS BIGINT), min(at) FROM dead_letters",
);

fn letter(row: &Row<'_>) -> Result<DeadLetter, Error> {
    Ok(DeadLetter {
        consumer: row.get(0)?,
        topic: row.get(1)?,
        part: row.get(2)?,
        off: row.get(3)?,
        event_id: row.get(4)?,
        batch_id: row.get(5)?,
        error_code: row.get(6)?,
        value_sha256: row.get(7)?,
        at: row.get(8)?,
        after_revision: row.get(9)?,
    })
}

impl Tx {
    /// Sets a message aside; false when it already was.
    pub async fn set_aside(&mut self, letter: &DeadLetter) -> Result<bool, Error> {
        let values = params![
            &letter.consumer,
            &letter.topic,
            letter.part,
            letter.off,
            letter.event_id,
            letter.batch_id,
            &letter.error_code,
            &letter.value_sha256,
            letter.at,
            letter.after_revision,
        ];
        Ok(self.exec(SET_ASIDE, values).await? == 1)
    }

    /// The messages set aside, latest first.
    pub async fn dead_letters(&mut self, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        self.all(LIST, params![limit], letter).await
    }

    /// The message that a consumer set aside at this place, if it did.
    pub async fn dead_letter(
        &mut self,
        consumer: &str,
        topic: &str,
        part: i64,
        off: i64,
    ) -> Result<Option<DeadLetter>, Error> {
        self.one(ONE, params![consumer, topic, part, off], letter).await
    }

    /// The messages that came too early for a consumer, and whose batches have changed since, by their places.
    pub async fn due_dead_letters(&mut self, consumer: &str, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        self.all(DUE, params![consumer, limit], letter).await
    }

    /// Says anew why a message is set aside; does nothing where it no longer is.
    pub async fn stays_aside(&mut self, letter: &DeadLetter) -> Result<(), Error> {
        let values = params![
            &letter.error_code,
            letter.after_revision,
            &letter.consumer,
            &letter.topic,
            letter.part,
            letter.off,
        ];
        self.exec(STAYS, values).await.map(drop)
    }

    /// Forgets that a consumer set the message at this place aside; false when it had not.
    pub async fn drop_dead_letter(
        &mut self,
        consumer: &str,
        topic: &str,
        part: i64,
        off: i64,
    ) -> Result<bool, Error> {
        Ok(self.exec(DROP, params![consumer, topic, part, off]).await? == 1)
    }

    /// How many messages are set aside, and since when the first one is.
    pub async fn dead_letter_depth(&mut self) -> Result<Waiting, Error> {
        let waiting =
            self.one(DEPTH, &[], |row| Ok(Waiting { rows: row.get(0)?, oldest_at: row.get(1)? })).await?;
        Ok(waiting.unwrap_or_default())
    }
}
