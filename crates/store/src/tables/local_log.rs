//! `local_log`: the log of the embedded event bus. SQLite only: with a single writer, ids are in commit order, so a consumer's
//! position is enough to know what it has read.

use uuid::Uuid;

use crate::error::Error;
use crate::param::{Json, Param, params};
use crate::row::JsonText;
use crate::sql::Sql;
use crate::tx::Tx;

/// A record to append.
#[derive(Clone, PartialEq, Eq)]
pub struct LogRow {
    /// The topic.
    pub topic: String,
    /// The key.
    pub key: String,
    /// The event id, which receivers deduplicate by.
    pub event_id: Uuid,
    /// The envelope.
    pub value: Vec<u8>,
    /// The headers, as a JSON object.
    pub headers: String,
}

impl std::fmt::Debug for LogRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogRow({} in {}, {} bytes)", self.event_id, self.topic, self.value.len())
    }
}

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its position in the log.
    pub id: i64,
    /// The record as appended.
    pub row: LogRow,
}

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// The records, in log order.
    pub records: Vec<LogRecord>,
    /// The position up to which the log was scanned; the next page continues after it.
    pub scanned_to: i64,
}

const APPEND: Sql = Sql::both(
    "local_log",
    "append to the local log",
    "INSERT INTO local_log (topic, key, event_id, value, headers, at) VALUES ($1, $2, $3, $4, $5, $6)",
);

const READ: Sql = Sql::both(
    "local_log",
    "read the local log",
    "SELECT id, topic, key, event_id, value, headers FROM local_log \
     WHERE id > $1 AND topic IN (SELECT value FROM json_each($2)) ORDER BY id LIMIT $3",
);

/// `sqlite_sequence` keeps the highest id ever assigned, also when the table was pruned empty.
const END: Sql = Sql::both(
    "local_log",
    "find the end of the local log",
    "SELECT seq FROM sqlite_sequence WHERE name = 'local_log'",
);

const POSITION: Sql = Sql::both(
    "local_log_positions",
    "read a position in the local log",
    "SELECT next_id FROM local_log_positions WHERE consumer = $1",
);

const SET_POSITION: Sql = Sql::both(
    "local_log_positions",
    "store a position in the local log",
    "INSERT INTO local_log_positions (consumer, next_id) VALUES ($1, $2) \
     ON CONFLICT (consumer) DO UPDATE SET next_id = excluded.next_id",
);

impl Tx {
    /// Appends records; returns the position of the last one.
    pub async fn append_log(&mut self, rows: &[LogRow]) -> Result<i64, Error> {
        let now = self.now();
        let values = rows.iter().map(|row| {
            [
                Param::from(&row.topic),
                Param::from(&row.key),
                row.event_id.into(),
                Param::from(&row.value),
                Json(&row.headers).into(),
                now.into(),
            ]
        });
        self.insert_many(APPEND, "", values).await?;
        self.log_end().await
    }

    /// Reads records of some topics after a position: at most `limit_rows`, with values of at most `limit_bytes` in total, but
    /// at least one. Records of other topics are skipped and count as scanned.
    pub async fn read_log(
        &mut self,
        after_id: i64,
        topics: &[&str],
        limit_rows: u32,
        limit_bytes: usize,
    ) -> Result<LogPage, Error> {
        let topics =
            serde_json::to_string(topics).map_err(|_| Error::corrupt("local_log", "topic", after_id))?;
        let mut bytes = 0;
        let (records, ended) = self
            .all_while(READ, params![after_id, Json(&topics), limit_rows], |row| {
                let value: Vec<u8> = row.get(4)?;
                bytes += value.len();
                if bytes > limit_bytes && bytes > value.len() {
                    return Ok(None);
                }
                Ok(Some(LogRecord {
                    id: row.get(0)?,
                    row: LogRow {
                        topic: row.get(1)?,
                        key: row.get(2)?,
                        event_id: row.get(3)?,
                        value,
                        headers: row.get::<JsonText>(5)?.0,
                    },
                }))
            })
            .await?;
        let is_last = ended && u32::try_from(records.len()).is_ok_and(|found| found < limit_rows);
        let scanned_to = match records.last() {
            Some(record) if !is_last => record.id,
            _ => self.log_end().await?.max(after_id),
        };
        Ok(LogPage { records, scanned_to })
    }

    /// The position at which a consumer continues, if it has stored one.
    pub async fn log_position(&mut self, consumer: &str) -> Result<Option<i64>, Error> {
        self.one(POSITION, params![consumer], |row| row.get(0)).await
    }

    /// Stores the position at which a consumer continues.
    pub async fn set_log_position(&mut self, consumer: &str, next_id: i64) -> Result<(), Error> {
        self.exec(SET_POSITION, params![consumer, next_id]).await.map(drop)
    }

    /// The position of the last record ever appended; 0 before the first.
    pub async fn log_end(&mut self) -> Result<i64, Error> {
        Ok(self.one(END, &[], |row| row.get(0)).await?.unwrap_or(0))
    }
}
