//! The database file of the stopped service, read through SQLite alone.

use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags, Row, types::ValueRef};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    canary::{Canary, Secret, Sighting},
    essays::hash,
};

/// The values of `source_service` of the orchestrator's own events.
pub(crate) const OUR_SOURCES: [&str; 2] = ["batch-service", "batch-orchestrator-service"];

/// The tables that may contain texts (until the Content Service has them) and names of classes.
pub(crate) const KEEPS_TEXTS: &str = "staged_texts";
pub(crate) const KEEPS_NAMES: &str = "batches";

/// The rows that the checker reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Database {
    pub(crate) batches: Vec<Batch>,
    pub(crate) essays: Vec<Essay>,
    pub(crate) results: Vec<EssayPhase>,
    pub(crate) keys: Vec<Key>,
    pub(crate) log: Vec<Event>,
    /// Rows of the outbox: event id, and whether it is parked.
    pub(crate) outbox: Vec<(Uuid, bool)>,
    pub(crate) staged_texts: usize,
    pub(crate) dead_letters: usize,
    /// The number of cells that were searched for canaries, and the places where one was found and must not
    /// be.
    pub(crate) searched: usize,
    pub(crate) sightings: Vec<Sighting>,
}

#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) id: Uuid,
    pub(crate) run: i64,
    /// The number of its next message.
    pub(crate) next_key_seq: i64,
    pub(crate) ended: bool,
    /// It failed as a whole, so its phases were not all requested.
    pub(crate) failed: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Essay {
    pub(crate) id: Uuid,
    pub(crate) batch: Uuid,
    pub(crate) client_ref: Option<String>,
}

/// A finished phase of an essay.
#[derive(Debug, Clone)]
pub(crate) struct EssayPhase {
    pub(crate) essay: Uuid,
    pub(crate) phase: String,
    pub(crate) succeeded: bool,
}

/// The stored answer of an Idempotency-Key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) key: String,
    pub(crate) batch: Option<Uuid>,
    pub(crate) answer_hash: Option<String>,
}

/// A record on the bus.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) topic: String,
    pub(crate) key: String,
    /// 0 on the embedded bus.
    pub(crate) partition: i64,
    pub(crate) id: Uuid,
    pub(crate) value: Vec<u8>,
    /// Whether the orchestrator wrote it, not a companion.
    pub(crate) ours: bool,
    pub(crate) key_seq: Option<i64>,
    pub(crate) attempt: Option<i64>,
    /// How often the command or request was sent again under another event id.
    pub(crate) resend: i64,
    /// The essays that it requests a phase for.
    pub(crate) essays: Vec<Uuid>,
}

impl Event {
    /// The phase that it requests.
    pub(crate) fn phase(&self) -> Option<&'static str> {
        match self.topic.as_str() {
            "huleedu.essay.spellcheck.requested.v1" | "huleedu.els.spellcheck.initiate.command.v1" => {
                Some("spellcheck")
            }
            "huleedu.batch.nlp.initiate.command.v1" | "huleedu.batch.nlp.initiate.command.v2" => Some("nlp"),
            _ => None,
        }
    }
}

impl Database {
    /// Reads the file of a stopped service.
    pub(crate) fn read(path: &Path, canary: &Canary) -> Result<Self> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .with_context(|| format!("opening {}", path.display()))?;
        let (searched, sightings) = search(&db, canary)?;
        Ok(Self {
            batches: rows(&db, "SELECT batch_id, run, next_key_seq, ended_at, status FROM batches", |row| {
                Ok(Batch {
                    id: id(row, 0)?,
                    run: row.get(1)?,
                    next_key_seq: row.get(2)?,
                    ended: row.get::<_, Option<String>>(3)?.is_some(),
                    failed: row.get::<_, String>(4)? == "failed",
                })
            })?,
            essays: rows(&db, "SELECT essay_id, batch_id, client_ref FROM essays", |row| {
                Ok(Essay { id: id(row, 0)?, batch: id(row, 1)?, client_ref: row.get(2)? })
            })?,
            results: rows(&db, "SELECT essay_id, phase, state FROM essay_phases", |row| {
                Ok(EssayPhase {
                    essay: id(row, 0)?,
                    phase: row.get(1)?,
                    succeeded: row.get::<_, String>(2)? == "succeeded",
                })
            })?,
            keys: rows(&db, "SELECT idem_key, batch_id, body FROM idempotency", |row| {
                let body: Option<Vec<u8>> = row.get(2)?;
                let batch: Option<[u8; 16]> = row.get(1)?;
                Ok(Key {
                    key: row.get(0)?,
                    batch: batch.map(Uuid::from_bytes),
                    answer_hash: body.map(|body| hash(&body)),
                })
            })?,
            log: rows(&db, "SELECT topic, key, event_id, value, headers FROM local_log ORDER BY id", event)?,
            outbox: rows(&db, "SELECT event_id, state FROM outbox", |row| {
                Ok((id(row, 0)?, row.get::<_, i64>(1)? != 0))
            })?,
            staged_texts: count(&db, "SELECT count(*) FROM staged_texts")?,
            dead_letters: count(&db, "SELECT count(*) FROM dead_letters")?,
            searched,
            sightings,
        })
    }
}

/// Appends an unreadable record to the bus of a stopped service, as a broken peer would.
pub(crate) fn put_poison(path: &Path) -> Result<()> {
    let db = Connection::open(path).with_context(|| format!("opening {}", path.display()))?;
    db.execute(
        "INSERT INTO local_log (topic, key, event_id, value, headers, at) \
         VALUES ('huleedu.els.batch.phase.outcome.v1', 'poison', randomblob(16), CAST('not an envelope' AS BLOB), '{}', \
         strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))",
        [],
    )
    .context("appending an unreadable record to the bus")?;
    Ok(())
}

/// Inserts an overdue timer for an ended class into the database of a stopped service. A process leaves such
/// a timer when it crashes between the end of the class and the deletion of the timer. When it fires, nothing
/// must change.
pub(crate) fn put_overdue_timer(path: &Path) -> Result<()> {
    let db = Connection::open(path).with_context(|| format!("opening {}", path.display()))?;
    db.execute(
        "INSERT INTO timers (shard, batch_id, kind, run, phase, attempt, due_at) \
         SELECT shard, batch_id, 'phase', run, 'spellcheck', 1, strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') \
         FROM batches WHERE ended_at IS NOT NULL ORDER BY batch_id DESC LIMIT 1 ON CONFLICT DO NOTHING",
        [],
    )
    .context("inserting an overdue timer")?;
    Ok(())
}

fn rows<T>(db: &Connection, sql: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
    let mut statement = db.prepare(sql).with_context(|| format!("`{sql}`"))?;
    let rows = statement.query_map([], read)?.collect::<rusqlite::Result<_>>();
    rows.with_context(|| format!("`{sql}`"))
}

fn count(db: &Connection, sql: &str) -> Result<usize> {
    let rows: i64 = db.query_one(sql, [], |row| row.get(0)).with_context(|| format!("`{sql}`"))?;
    Ok(usize::try_from(rows)?)
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get(column).map(Uuid::from_bytes)
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let value: Vec<u8> = row.get(3)?;
    let headers: Value = serde_json::from_str(&row.get::<_, String>(4)?).unwrap_or_default();
    let header = |name: &str| headers.get(name).and_then(Value::as_str);
    let number = |name: &str| header(name).and_then(|text| text.parse().ok());
    let payload: Value = serde_json::from_slice(&value).unwrap_or_default();
    let topic: String = row.get(0)?;
    Ok(Event {
        key: row.get(1)?,
        partition: 0,
        id: id(row, 2)?,
        ours: header("source_service").is_some_and(|source| OUR_SOURCES.contains(&source)),
        key_seq: number("key_seq"),
        attempt: number("attempt"),
        resend: number("resend").unwrap_or_default(),
        essays: essays_of(&payload),
        topic,
        value,
    })
}

/// The essays of a command, or the one of a request.
pub(crate) fn essays_of(payload: &Value) -> Vec<Uuid> {
    let uuid = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    match payload.pointer("/data/essays_to_process").and_then(Value::as_array) {
        Some(essays) => essays.iter().filter_map(|essay| uuid(essay.get("essay_id")?)).collect(),
        None => payload.pointer("/data/entity_id").and_then(uuid).into_iter().collect(),
    }
}

/// Searches every cell of every table for the canaries. Returns the number of cells, and the places where a
/// canary must not be.
fn search(db: &Connection, canary: &Canary) -> Result<(usize, Vec<Sighting>)> {
    let tables = rows(db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", |row| {
        row.get::<_, String>(0)
    })?;
    let (mut searched, mut sightings) = (0, Vec::new());
    for table in tables {
        let mut statement = db.prepare(&format!("SELECT * FROM \"{table}\""))?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for (at, column) in columns.iter().enumerate() {
                let (ValueRef::Text(bytes) | ValueRef::Blob(bytes)) = row.get_ref(at)? else { continue };
                searched += 1;
                let out_of_place = canary.found_in(bytes).filter(|secret| match secret {
                    Secret::Text => table != KEEPS_TEXTS,
                    Secret::Name => table != KEEPS_NAMES,
                });
                for secret in out_of_place {
                    let sighting = Sighting { place: format!("bos.db, {table}.{column}"), secret };
                    if !sightings.contains(&sighting) {
                        sightings.push(sighting);
                    }
                }
            }
        }
    }
    Ok((searched, sightings))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = include_str!("../../../crates/store/migrations/sqlite/0001_base.sql");

    #[test]
    fn a_file_with_the_tables_of_the_store_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bos.db");
        let canary = Canary::of(1);
        let db = Connection::open(&path).unwrap();
        db.execute_batch(SCHEMA).unwrap();
        let (batch, essay, event) = (Uuid::from_u128(16), Uuid::from_u128(17), Uuid::from_u128(99));
        db.execute(
            "INSERT INTO batches VALUES (?1, 0, 'local', NULL, 'class', ?2, 'ready', 0, 3, 1, 2, '{}', '{}', 't', 't', NULL)",
            (batch.as_bytes(), format!("9B {}", canary.name)),
        )
        .unwrap();
        db.execute(
            "INSERT INTO local_log (topic, key, event_id, value, headers, at) VALUES (?1, 'k', ?2, ?3, ?4, 't')",
            (
                "huleedu.batch.nlp.initiate.command.v2",
                event.as_bytes(),
                format!(r#"{{"data":{{"essays_to_process":[{{"essay_id":"{essay}"}}]}}}}"#).into_bytes(),
                r#"{"source_service":"batch-orchestrator-service","key_seq":"7","attempt":"1"}"#,
            ),
        )
        .unwrap();
        db.execute("INSERT INTO meta VALUES ('note', ?1)", [format!("{} {}", canary.text, canary.name)])
            .unwrap();
        drop(db);

        let read = Database::read(&path, &canary).unwrap();
        assert_eq!(
            (read.batches[0].id, read.batches[0].next_key_seq, read.batches[0].ended),
            (batch, 2, false)
        );
        let found = &read.log[0];
        assert_eq!((found.id, found.phase(), found.ours), (event, Some("nlp"), true));
        assert_eq!((found.key_seq, found.attempt, found.essays.as_slice()), (Some(7), Some(1), &[essay][..]));
        let place = "bos.db, meta.value".to_owned();
        assert_eq!(
            read.sightings,
            [Secret::Text, Secret::Name].map(|secret| Sighting { place: place.clone(), secret }),
            "the name in `batches` is at home"
        );
    }
}
