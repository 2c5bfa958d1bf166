//! The database, read through a connection of the checker's own.

use std::path::Path;

use anyhow::Result;
use chrono::{DateTime, Utc};
use contract::Topic;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

/// A read-only view of the database.
#[derive(Debug)]
pub(super) struct DatabaseView {
    connection: Connection,
    version: i64,
}

/// A row of the outbox, or of its archive.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) ordering_key: String,
    pub(super) key_seq: i64,
    pub(super) kafka_key: String,
    pub(super) payload: Vec<u8>,
}

/// A message that is parked, or that was given up.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) event: Uuid,
    pub(super) ordering_key: String,
    pub(super) key_seq: i64,
    pub(super) kafka_key: String,
    /// Later messages of its key wait.
    pub(super) blocks_others: bool,
}

/// A finished phase of an essay.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) phase: String,
    pub(super) attempt: u32,
    pub(super) essay: Uuid,
    pub(super) state: String,
    pub(super) error_code: Option<String>,
}

/// An essay.
#[derive(Debug)]
pub(super) struct Essay {
    pub(super) id: Uuid,
    pub(super) position: i64,
    pub(super) state: String,
    pub(super) text_storage_id: Option<String>,
}

impl DatabaseView {
    pub(super) fn open(file: &Path) -> Result<Self> {
        let connection = Connection::open(file)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { connection, version: -1 })
    }

    /// Whether there was a commit since the last call.
    pub(super) fn is_changed(&mut self) -> Result<bool> {
        let version = self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?;
        let is_changed = version != self.version;
        self.version = version;
        Ok(is_changed)
    }

    fn rows<T>(&self, sql: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], read)?.collect::<rusqlite::Result<_>>()?;
        Ok(rows)
    }

    fn exists(&self, sql: &str, values: impl rusqlite::Params) -> Result<bool> {
        Ok(self.connection.prepare_cached(sql)?.exists(values)?)
    }

    pub(super) fn count(&self, sql: &str) -> Result<u64> {
        let count: i64 = self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(u64::try_from(count)?)
    }

    /// The message with this event id, sent or waiting.
    pub(super) fn committed(&self, event: Uuid) -> Result<Option<Committed>> {
        let sql = "SELECT ordering_key, key_seq, kafka_key, payload FROM outbox WHERE shard IN (SELECT shard FROM leases) AND event_id = ?1 \
                   UNION ALL SELECT ordering_key, key_seq, kafka_key, payload FROM outbox_sent WHERE event_id = ?1";
        let row = self.connection.prepare_cached(sql)?.query_row([event.as_bytes()], |row| {
            Ok(Committed {
                ordering_key: row.get(0)?,
                key_seq: row.get(1)?,
                kafka_key: row.get(2)?,
                payload: row.get(3)?,
            })
        });
        Ok(row.optional()?)
    }

    pub(super) fn parked(&self) -> Result<Vec<Parked>> {
        self.parked_rows(
            "SELECT event_id, ordering_key, key_seq, kafka_key, EXISTS (SELECT 1 FROM outbox l WHERE l.shard = p.shard \
             AND l.ordering_key = p.ordering_key AND l.key_seq > p.key_seq) FROM outbox p WHERE state = 2",
        )
    }

    pub(super) fn given_up(&self) -> Result<Vec<Parked>> {
        self.parked_rows(
            "SELECT event_id, ordering_key, key_seq, kafka_key, FALSE FROM outbox_sent WHERE kafka_offset IS NULL",
        )
    }

    fn parked_rows(&self, sql: &str) -> Result<Vec<Parked>> {
        self.rows(sql, |row| {
            Ok(Parked {
                event: id(row, 0)?,
                ordering_key: row.get(1)?,
                key_seq: row.get(2)?,
                kafka_key: row.get(3)?,
                blocks_others: row.get(4)?,
            })
        })
    }

    pub(super) fn has_batch(&self, batch: Uuid) -> Result<bool> {
        self.exists("SELECT 1 FROM batches WHERE batch_id = ?1", [batch.as_bytes()])
    }

    pub(super) fn is_in_inbox(&self, batch: Uuid, event: Uuid) -> Result<bool> {
        let sql = "SELECT 1 FROM inbox WHERE batch_id = ?1 AND consumer = 'batch-orchestrator-service-rs' AND event_id = ?2";
        self.exists(sql, params![batch.as_bytes(), event.as_bytes()])
    }

    pub(super) fn is_dead_letter(&self, (topic, partition): (Topic, i64), offset: usize) -> Result<bool> {
        let sql = "SELECT 1 FROM dead_letters WHERE consumer = 'batch-orchestrator-service-rs' \
                   AND topic = ?1 AND part = ?2 AND off = ?3";
        self.exists(sql, params![topic.as_str(), partition, i64::try_from(offset)?])
    }

    /// Every batch, with its revision and the number of its next message.
    pub(super) fn batches(&self) -> Result<Vec<(Uuid, i64, i64)>> {
        self.rows("SELECT batch_id, revision, next_key_seq FROM batches", |row| {
            Ok((id(row, 0)?, row.get(1)?, row.get(2)?))
        })
    }

    /// Every Idempotency-Key, with the batch of its stored answer.
    pub(super) fn keys(&self) -> Result<Vec<(String, Option<Uuid>)>> {
        self.rows("SELECT idem_key, batch_id FROM idempotency", |row| {
            Ok((row.get(0)?, row.get::<_, Option<[u8; 16]>>(1)?.map(Uuid::from_bytes)))
        })
    }

    pub(super) fn finished(&self) -> Result<Vec<Finished>> {
        self.rows("SELECT phase, attempt, essay_id, state, error_code FROM essay_phases", |row| {
            Ok(Finished {
                phase: row.get(0)?,
                attempt: row.get(1)?,
                essay: id(row, 2)?,
                state: row.get(3)?,
                error_code: row.get(4)?,
            })
        })
    }

    pub(super) fn essays(&self) -> Result<Vec<Essay>> {
        self.rows("SELECT essay_id, position, state, text_storage_id FROM essays", |row| {
            Ok(Essay {
                id: id(row, 0)?,
                position: row.get(1)?,
                state: row.get(2)?,
                text_storage_id: row.get(3)?,
            })
        })
    }

    /// The earliest time at which something is due that no parked message blocks.
    pub(super) fn next_due(&self) -> Result<Option<DateTime<Utc>>> {
        let sql = "SELECT min(at) FROM (SELECT min(due_at) AS at FROM timers \
                   UNION ALL SELECT min(not_before) FROM staged_texts UNION ALL SELECT min(not_before) FROM outbox o WHERE state = 0 AND NOT EXISTS (SELECT 1 FROM outbox p \
                   WHERE p.shard = o.shard AND p.ordering_key = o.ordering_key AND p.state = 2))";
        let at: Option<String> = self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(at.and_then(|at| at.parse().ok()))
    }
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get(column).map(Uuid::from_bytes)
}
