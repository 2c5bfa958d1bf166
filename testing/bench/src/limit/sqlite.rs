//! The accept limit: the rows of an accepted batch, written by a bare loop.
//!
//! The loop has what the service's writer has and nothing else: the very tables, WAL with `synchronous=FULL`, the same
//! cache and checkpoint settings, and the same group commit, in which as many units as there are clients share a COMMIT,
//! at most 64 of them and for at most 2 ms. No HTTP, no JSON to parse, no rules, no reader, no client to answer.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::essays;

const TABLES: &str = include_str!("../../../../crates/store/migrations/sqlite/0001_base.sql");

const GROUP_UNITS: usize = 64;
const GROUP_TIME: Duration = Duration::from_millis(2);

/// What is written for each batch.
#[derive(Clone, Copy)]
pub(crate) struct Unit {
    /// Essays, each with its text.
    pub(crate) essays: u16,
    /// Bytes of the answer that is kept with the Idempotency-Key.
    pub(crate) answer_bytes: usize,
}

/// Units committed per second when `clients` clients wait for an answer each, in a new file in `folder`.
pub(crate) fn measure(folder: &Path, unit: Unit, clients: usize, time: Duration) -> Result<f64> {
    let path = folder.join("limit.db");
    let conn = open(&path).context("opening the file of the accept limit")?;
    let mut writer = Writer::new(&conn, unit);
    let began = Instant::now();
    let mut units = 0_u32;
    while began.elapsed() < time {
        let group = Instant::now();
        conn.execute_batch("BEGIN IMMEDIATE")?;
        for _ in 0..clients.min(GROUP_UNITS) {
            writer.write()?;
            units += 1;
            if group.elapsed() >= GROUP_TIME {
                break;
            }
        }
        conn.execute_batch("COMMIT")?;
    }
    let rate = f64::from(units) / began.elapsed().as_secs_f64();
    drop(conn);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("limit.db{suffix}")));
    }
    Ok(rate)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open(path)?;
    conn.set_prepared_statement_cache_capacity(256);
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "cache_size", -16_000)?;
    conn.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    conn.execute_batch(TABLES)?;
    Ok(conn)
}

struct Writer<'c> {
    conn: &'c Connection,
    texts: Vec<String>,
    state: String,
    answer: Vec<u8>,
    written: u64,
}

impl<'c> Writer<'c> {
    fn new(conn: &'c Connection, unit: Unit) -> Self {
        Self {
            conn,
            texts: (0..unit.essays).map(|n| essays::text(n.into())).collect(),
            // As long as the state of a batch whose texts are being stored.
            state: format!("{{\"state\":\"{}\"}}", "s".repeat(600)),
            answer: vec![b'a'; unit.answer_bytes],
            written: 0,
        }
    }

    fn write(&mut self) -> rusqlite::Result<()> {
        const AT: &str = "2026-01-01T00:00:00.000000Z";
        self.written += 1;
        let (batch, slot) = batch_id(self.written);
        let key = format!("{:032}", self.written);
        self.run(
            "INSERT INTO idempotency (slot, principal, route, idem_key, key_id, fingerprint, created_at) \
             VALUES (?1, 'local', '/v1/batch', ?2, 1, ?3, ?4)",
            params![slot, key, [7_u8; 32], AT],
        )?;
        self.run(
            "INSERT INTO batches (batch_id, shard, owner_user_id, kind, name, status, attention, revision, run, \
             next_key_seq, state, details, created_at, updated_at) \
             VALUES (?1, 0, 'local', 'class', '9B argumentative text', 'pending_content', 0, 1, 1, 0, ?2, ?3, ?4, ?4)",
            params![batch, self.state, "{\"course_code\":\"ENG5\"}", AT],
        )?;
        self.run(
            "INSERT INTO timeline (batch_id, revision, at, reason, entries, correlation_id) \
             VALUES (?1, 1, ?2, 'accepted 30 essays', '[]', ?1)",
            params![batch, AT],
        )?;
        let essays = |position: u16| essay_id(&batch, position);
        for (position, _) in (0..).zip(&self.texts) {
            self.run(
                "INSERT INTO essays (batch_id, essay_id, position, client_ref, size_bytes, state, attempt) \
                 VALUES (?1, ?2, ?3, ?4, 1800, 'waiting', 0)",
                params![batch, essays(position), position, format!("s-{position:04}")],
            )?;
        }
        for (position, text) in (0..).zip(&self.texts) {
            self.run(
                "INSERT INTO staged_texts (shard, batch_id, essay_id, not_before, attempts, body) \
                 VALUES (0, ?1, ?2, ?3, 0, ?4)",
                params![batch, essays(position), AT, text.as_bytes()],
            )?;
        }
        self.run(
            "UPDATE idempotency SET batch_id = ?1, status = 202, body = ?2, location = ?3, etag = '\"1\"' \
             WHERE slot = ?4 AND principal = 'local' AND route = '/v1/batch' AND idem_key = ?5",
            params![batch, self.answer, "/v1/batch/00000000-0000-0000-0000-000000000000", slot, key],
        )
    }

    fn run(&self, text: &str, values: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<()> {
        self.conn.prepare_cached(text)?.execute(values).map(drop)
    }
}

/// Ids that rise with time and carry a slot, as the service's do, here one batch a millisecond.
fn batch_id(number: u64) -> ([u8; 16], i64) {
    let disorder = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let slot = disorder >> 52;
    let id = Uuid::from_u64_pair(
        (1_790_000_000_000 + number) << 16 | 0x7000 | slot,
        disorder << 18 >> 2 & !0xFFFF,
    );
    (id.into_bytes(), i64::try_from(slot).unwrap_or_default())
}

fn essay_id(batch: &[u8; 16], position: u16) -> [u8; 16] {
    (u128::from_be_bytes(*batch) + u128::from(position) + 1).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_writes_the_rows_of_an_accepted_class() {
        let folder = tempfile::tempdir().unwrap();
        let conn = open(&folder.path().join("limit.db")).unwrap();
        let mut writer = Writer::new(&conn, Unit { essays: 30, answer_bytes: 3_000 });
        writer.write().unwrap();
        writer.write().unwrap();
        let count = |table: &str| -> i64 {
            conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        let tables = ["batches", "essays", "staged_texts", "timeline", "idempotency"];
        assert_eq!(tables.map(count), [2, 60, 60, 2, 2]);
        let answered: i64 = conn
            .query_row("SELECT count(*) FROM idempotency WHERE status = 202", [], |row| row.get(0))
            .unwrap();
        assert_eq!(answered, 2);
    }
}
