//! `dead_letters`: messages set aside. A row points at the message in its topic and holds a hash of it, never the message.

use chrono::{DateTime, Utc};
use domain::BatchId;
use uuid::Uuid;

use crate::error::Error;
use crate::param::params;
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
}

const SET_ASIDE: Sql = Sql::both(
    "dead_letters",
    "set a message aside",
    "INSERT INTO dead_letters (consumer, topic, part, off, event_id, batch_id, error_code, value_sha256, at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
);

const LIST: Sql = Sql::both(
    "dead_letters",
    "list messages set aside",
    "SELECT consumer, topic, part, off, event_id, batch_id, error_code, value_sha256, at FROM dead_letters \
     ORDER BY at DESC, consumer, topic, part, off LIMIT $1",
);

const COUNT: Sql = Sql::both(
    "dead_letters",
    "count messages set aside",
    "SELECT CAST(count(*) AS BIGINT) FROM dead_letters",
);

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
        ];
        Ok(self.exec(SET_ASIDE, values).await? == 1)
    }

    /// The messages set aside, latest first.
    pub async fn dead_letters(&mut self, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        self.all(LIST, params![limit], |row| {
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
            })
        })
        .await
    }

    /// How many messages are set aside.
    pub async fn count_dead_letters(&mut self) -> Result<i64, Error> {
        Ok(self.one(COUNT, &[], |row| row.get(0)).await?.unwrap_or(0))
    }
}
