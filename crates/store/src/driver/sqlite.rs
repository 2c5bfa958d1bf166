//! SQLite: a writer thread with group commit, and up to four idle reader connections.
//!
//! The writer thread owns the only writing connection. It runs each unit in a savepoint of one `BEGIN IMMEDIATE … COMMIT` and
//! replies after the COMMIT, so that one fsync serves all units of the group and ids are in commit order. A unit's future never
//! waits for SQLite. A future that waits for anything else would block the whole group, so futures are polled once and
//! `Pending` is an error. See `docs/decisions/0001-sqlite-on-a-writer-thread.md`.

mod damage;
mod file;
mod queue;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound as _, Utc};
use futures::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::clock::Now;
use crate::driver::sqlite::damage::DamageCheck;
use crate::driver::sqlite::file::{Identity, ProcessLock, connect};
use crate::driver::sqlite::queue::Queue;
use crate::error::{Error, UnitError};
use crate::health::{Health, UTF8};
use crate::lane::Lane;
use crate::schema;
use crate::tx::{Tx, TxInner};

/// Maximum units per group commit.
const GROUP_UNITS: usize = 64;
/// A group takes no further unit after this time (2 ms, chosen). Unit tests end a group themselves, by holding one of its
/// units.
const GROUP_TIME: Duration = Duration::from_millis(if cfg!(test) { 60_000 } else { 2 });
/// Maximum idle reader connections that are kept. A read uses one connection.
const READERS: usize = 4;

/// The SQLite side of a [`crate::Store`].
#[derive(Debug)]
pub(crate) struct SqliteDriver {
    queue: Arc<Queue<Box<dyn Member>>>,
    readers: Arc<Readers>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
    identity: Identity,
    damage: DamageCheck,
    _lock: ProcessLock,
}

/// A unit of a group: it runs in its savepoint and gets its reply after the group's COMMIT.
trait Member: Send {
    /// Runs the unit; returns whether its changes are kept.
    fn run(&mut self, tx: &mut Tx) -> bool;
    /// The store error that the unit failed with, if any.
    fn failure(&self) -> Option<&Error>;
    fn reply(self: Box<Self>, group: Result<(), Error>);
}

struct Unit<F, T, E> {
    work: F,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Member for Unit<F, T, E>
where
    F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send,
    T: Send,
    E: UnitError,
{
    fn run(&mut self, tx: &mut Tx) -> bool {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll_once((self.work)(tx))));
        let outcome = match outcome {
            Ok(Poll::Ready(outcome)) => outcome,
            Ok(Poll::Pending) => {
                Err(E::from(defect("a unit waited for something other than its transaction")))
            }
            Err(_) => Err(E::from(defect("a unit panicked"))),
        };
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        keep
    }

    fn failure(&self) -> Option<&Error> {
        self.outcome.as_ref().and_then(|o| o.as_ref().err()).and_then(UnitError::store_error)
    }

    fn reply(self: Box<Self>, group: Result<(), Error>) {
        let reply = match (group, self.outcome) {
            (Ok(()), Some(outcome)) | (Err(_), Some(outcome @ Err(_))) => outcome,
            (Err(error), _) => Err(E::from(error)),
            (Ok(()), None) => Err(E::from(defect("a unit got its reply before it ran"))),
        };
        // If the caller was dropped, the unit is committed all the same.
        let _ = self.reply.send(reply);
    }
}

const fn defect(what: &'static str) -> Error {
    Error::Defect { what }
}

fn poll_once<T>(mut future: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> Poll<T> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SqliteDriver {
    pub(crate) fn open(path: &Path, now: Now) -> Result<Self, Error> {
        Self::open_with(path, now, schema::migrate_sqlite)
    }

    /// Opens the file without migrating it.
    pub(crate) fn open_unmigrated(path: &Path, now: Now) -> Result<Self, Error> {
        Self::open_with(path, now, |conn, _, _| schema::check_sqlite(conn))
    }

    fn open_with(
        path: &Path,
        now: Now,
        prepare_schema: impl FnOnce(&Connection, &Path, &Now) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        // Stored times have microseconds, so the clock must not be finer than what it is compared with.
        let now: Now = Arc::new(move || now().trunc_subsecs(6));
        let lock = ProcessLock::acquire(path)?;
        let writer = connect(path, true).map_err(|error| damage::confirm(error, path))?;
        prepare_schema(&writer, path, &now).map_err(|error| damage::confirm(error, path))?;
        let identity = Identity::from_path(path);
        let readers = Arc::new(Readers { path: path.to_owned(), idle: Mutex::default(), now: now.clone() });
        let queue = Arc::new(Queue::default());
        let thread = std::thread::Builder::new()
            .name("bos.db writer".to_owned())
            .spawn({
                let queue = Arc::clone(&queue);
                move || write(writer, &queue, &now)
            })
            .map_err(|e| Error::Unavailable { doing: "start its writer", cause: Some(Arc::new(e)) })?;
        let damage = DamageCheck::new(path);
        Ok(Self { queue, readers, writer: Mutex::new(Some(thread)), identity, damage, _lock: lock })
    }

    /// Notes the error of a unit or a read.
    pub(crate) fn observe(&self, error: &Error) {
        self.damage.observe(error);
    }

    /// The health of an embedded database, which is only ever opened with safe settings.
    pub(crate) fn health(&self) -> Health {
        let now: DateTime<Utc> = (self.readers.now)();
        Health {
            server: format!("SQLite {}", rusqlite::version()),
            encoding: UTF8.to_owned(),
            unsafe_settings: Vec::new(),
            read_only: false,
            denied: Vec::new(),
            now,
            connections: None,
            oldest_transaction: None,
            days_ahead: None,
        }
    }

    pub(crate) async fn unit<T, E, F>(&self, lane: Lane, work: F) -> Result<T, E>
    where
        F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: UnitError,
    {
        let (reply, outcome) = oneshot::channel();
        let member = Box::new(Unit { work, outcome: None, reply });
        let closed =
            || E::from(Error::Unavailable { doing: "run a unit because it is closing", cause: None });
        if !self.queue.push(lane, member) {
            return Err(closed());
        }
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Runs a read of one statement on the calling thread and without a transaction.
    pub(crate) fn peek<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
        E: UnitError,
    {
        self.readers.peek(work)
    }

    pub(crate) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: UnitError,
    {
        let readers = Arc::clone(&self.readers);
        tokio::task::spawn_blocking(move || readers.read(work))
            .await
            .unwrap_or_else(|_| Err(E::from(defect("a read panicked"))))
    }

    /// Copies the database, in a consistent state, into a new file; on a blocking thread.
    pub(crate) async fn copy_to(&self, file: PathBuf) -> Result<(), Error> {
        let doing = "copy its file";
        let from = self.readers.path.clone();
        let copy = move || {
            let conn = connect(&from, true)?;
            conn.execute("VACUUM INTO ?1", [file.to_string_lossy()])
                .map(drop)
                .map_err(|e| Error::sqlite(doing, e))
        };
        tokio::task::spawn_blocking(copy).await.unwrap_or_else(|_| Err(defect("a copy panicked")))
    }

    pub(crate) fn missing_file(&self) -> Option<&Path> {
        self.identity.missing()
    }

    /// Lets the writer run the queued units, then joins it.
    pub(crate) fn close(&self) {
        self.queue.close();
        if let Some(thread) = locked(&self.writer).take() {
            let _ = thread.join();
        }
        locked(&self.readers.idle).clear();
    }
}

impl Drop for SqliteDriver {
    fn drop(&mut self) {
        self.close();
    }
}

fn write(conn: Connection, queue: &Queue<Box<dyn Member>>, now: &Now) {
    let mut tx = Tx { inner: TxInner::Sqlite(conn), now: now() };
    while let Some(first) = queue.first() {
        let mut group = Vec::with_capacity(8);
        let outcome = run_group(&mut tx, first, queue, now, &mut group);
        for member in group {
            member.reply(outcome.clone());
        }
    }
}

fn run_group(
    tx: &mut Tx,
    (first, lane): (Box<dyn Member>, Lane),
    queue: &Queue<Box<dyn Member>>,
    now: &Now,
    group: &mut Vec<Box<dyn Member>>,
) -> Result<(), Error> {
    let started = Instant::now();
    let mut next = Some(first);
    let begun = statement(tx, "BEGIN IMMEDIATE", "begin a group");
    while let Some(mut member) = next.take() {
        let ran = match &begun {
            Ok(()) => run_member(tx, member.as_mut(), now),
            Err(error) => Err(error.clone()),
        };
        group.push(member);
        if let Err(error) = ran {
            // The state of the connection is unknown: the whole group is rolled back.
            let _ = statement(tx, "ROLLBACK", "roll back a group");
            return Err(error);
        }
        if group.len() < GROUP_UNITS && started.elapsed() < GROUP_TIME {
            next = queue.next(lane).map(|(member, _)| member);
        }
    }
    statement(tx, "COMMIT", "commit").inspect_err(|_| {
        let _ = statement(tx, "ROLLBACK", "roll back a group");
    })
}

/// Runs one member in its savepoint. An error fails the whole group: the disk is full or fails, or the file is damaged or gone.
fn run_member(tx: &mut Tx, member: &mut dyn Member, now: &Now) -> Result<(), Error> {
    tx.now = now();
    statement(tx, "SAVEPOINT unit", "begin a unit")?;
    let kept = member.run(tx);
    if let Some(error @ (Error::Full { .. } | Error::Unavailable { .. } | Error::Damaged { .. })) =
        member.failure()
    {
        return Err(error.clone());
    }
    if !kept {
        statement(tx, "ROLLBACK TO unit", "roll back a unit")?;
    }
    statement(tx, "RELEASE unit", "end a unit")
}

fn statement(tx: &Tx, text: &'static str, doing: &'static str) -> Result<(), Error> {
    let TxInner::Sqlite(conn) = &tx.inner else {
        return Err(defect("the writer holds no SQLite connection"));
    };
    let run = || conn.prepare_cached(text)?.execute([]);
    run().map(drop).map_err(|e| Error::sqlite(doing, e))
}

struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Tx>>,
    now: Now,
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Readers({} idle)", locked(&self.idle).len())
    }
}

impl Readers {
    /// Runs a read in a snapshot.
    fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
        E: UnitError,
    {
        let mut tx = self.take()?;
        statement(&tx, "BEGIN", "begin a read")?;
        let outcome = run_read(&mut tx, work);
        statement(&tx, "COMMIT", "end a read")?;
        self.give_back(tx);
        outcome
    }

    /// Runs a read of one statement, which needs no transaction to see a snapshot.
    fn peek<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
        E: UnitError,
    {
        let mut tx = self.take()?;
        let outcome = run_read(&mut tx, work);
        self.give_back(tx);
        outcome
    }

    fn give_back(&self, tx: Tx) {
        let mut idle = locked(&self.idle);
        if idle.len() < READERS {
            idle.push(tx);
        }
    }

    fn take(&self) -> Result<Tx, Error> {
        let now = (self.now)();
        if let Some(tx) = locked(&self.idle).pop() {
            return Ok(Tx { now, ..tx });
        }
        Ok(Tx { inner: TxInner::Sqlite(connect(&self.path, false)?), now })
    }
}

fn run_read<T, E, F>(tx: &mut Tx, work: F) -> Result<T, E>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
    E: UnitError,
{
    match poll_once(work(tx)) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(E::from(defect("a read waited for something other than its transaction"))),
    }
}
