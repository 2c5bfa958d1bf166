//! `companions.db`: one writer thread with group commit, and a few readers.
//!
//! The writer owns the only connection that writes. Each write runs in a savepoint of one `BEGIN IMMEDIATE …
//! COMMIT` and is answered after the COMMIT, so all writes that arrive meanwhile share one fsync.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use crate::Error;

/// Writes that share a COMMIT, at most (chosen).
const GROUP_WRITES: usize = 64;
/// The time after which a group takes no further write (chosen).
const GROUP_TIME: Duration = Duration::from_millis(2);
/// Idle reader connections that are kept (chosen).
const READERS: usize = 4;

const SCHEMA: &str = include_str!("database/schema.sql");

/// A write: runs in the group, and returns the function that answers its caller with the result of the
/// COMMIT.
type Write = Box<dyn FnOnce(&Connection) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// The database of the companions.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    writes: Option<Sender<Write>>,
    writer: Option<JoinHandle<()>>,
    idle: Mutex<Vec<Connection>>,
}

impl Database {
    /// Opens the file, or creates it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let conn = connect(path, true)
            .and_then(|conn| conn.execute_batch(SCHEMA).and_then(|()| add_columns(&conn)).map(|()| conn))
            .map_err(|source| Error::Open { path: path.to_owned(), source: Arc::new(source) })?;
        let (writes, waiting) = channel();
        let thread = std::thread::Builder::new()
            .name("companions.db writer".to_owned())
            .spawn(move || {
                while let Ok(first) = waiting.recv() {
                    write_group(&conn, first, &waiting);
                }
            })
            .map_err(|source| Error::Start(Arc::new(source)))?;
        Ok(Self { path: path.to_owned(), writes: Some(writes), writer: Some(thread), idle: Mutex::default() })
    }

    /// Runs `work` and returns when its changes are on disk. When `work` fails, its changes are rolled back.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let write: Write = Box::new(move |conn| {
            let outcome = in_savepoint(conn, work).map_err(Error::database(doing));
            // The caller may have been dropped; the write is committed all the same.
            Box::new(move |committed| drop(reply.send(committed.and(outcome))))
        });
        self.writes.as_ref().ok_or(Error::Closed)?.send(write).map_err(|_| Error::Closed)?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Runs `work` on a reader connection, on a blocking thread.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let database = Arc::clone(self);
        tokio::task::spawn_blocking(move || database.read_here(work).map_err(Error::database(doing)))
            .await
            .unwrap_or(Err(Error::Closed))
    }

    fn read_here<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let conn = kept.map_or_else(|| connect(&self.path, false), Ok)?;
        let outcome = work(&conn);
        let mut idle = idle();
        if idle.len() < READERS {
            idle.push(conn);
        }
        outcome
    }
}

impl Drop for Database {
    /// Ends the writer after the writes that are already queued.
    fn drop(&mut self) {
        drop(self.writes.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Adds the columns that a file of an earlier program lacks.
fn add_columns(conn: &Connection) -> rusqlite::Result<()> {
    let has_column = "SELECT count(*) FROM pragma_table_info('els_essays') WHERE name = 'moved_by'";
    if conn.query_row(has_column, [], |row| row.get::<_, i64>(0))? == 0 {
        conn.execute_batch("ALTER TABLE els_essays ADD COLUMN moved_by BLOB")?;
    }
    Ok(())
}

fn write_group(conn: &Connection, first: Write, waiting: &Receiver<Write>) {
    let mut answers = Vec::with_capacity(8);
    let committed = run_group(conn, first, waiting, &mut answers).map_err(Error::database("commit"));
    if committed.is_err() && !conn.is_autocommit() {
        let _ = conn.execute_batch("ROLLBACK");
    }
    for answer in answers {
        answer(committed.clone());
    }
}

fn run_group(
    conn: &Connection,
    first: Write,
    waiting: &Receiver<Write>,
    answers: &mut Vec<Answer>,
) -> rusqlite::Result<()> {
    let started = Instant::now();
    let begun = execute(conn, "BEGIN IMMEDIATE");
    let mut next = Some(first);
    while let Some(write) = next.take() {
        // Outside of a transaction (BEGIN failed, or SQLite rolled back because of a full disk) this write
        // fails with its group.
        answers.push(write(conn));
        let open = !conn.is_autocommit();
        if open && answers.len() < GROUP_WRITES && started.elapsed() < GROUP_TIME {
            next = waiting.try_recv().ok();
        }
    }
    begun?;
    execute(conn, "COMMIT")
}

fn in_savepoint<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    if conn.is_autocommit() {
        return Err(rusqlite::Error::InvalidQuery);
    }
    execute(conn, "SAVEPOINT one")?;
    let outcome = work(conn);
    if outcome.is_err() && !conn.is_autocommit() {
        execute(conn, "ROLLBACK TO one")?;
    }
    if !conn.is_autocommit() {
        execute(conn, "RELEASE one")?;
    }
    outcome
}

fn execute(conn: &Connection, statement: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(statement)?.execute([]).map(drop)
}

fn connect(path: &Path, writes: bool) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.set_prepared_statement_cache_capacity(32);
    conn.busy_timeout(Duration::from_secs(5))?;
    // One query plan per statement, independent of the bound values.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "trusted_schema", false)?;
    // An erased text is overwritten, not only unlinked.
    conn.pragma_update(None, "secure_delete", true)?;
    conn.pragma_update(None, "query_only", !writes)?;
    Ok(conn)
}

#[cfg(test)]
mod tests;
