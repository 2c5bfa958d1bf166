//! SQLite: one writer thread that commits a group of units at a time, and a few readers.
//!
//! The writer owns the only connection that writes. It runs each unit in a savepoint of one `BEGIN IMMEDIATE … COMMIT` and
//! answers after the COMMIT, so one fsync serves everybody who arrived meanwhile, and the order of ids is the order of
//! commits. A unit's future never waits for SQLite; one that waits for anything else would hold up the whole group, so it is
//! polled once and a `Pending` is an error.

mod file;
mod queue;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use chrono::SubsecRound as _;
use futures::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::{Error, UnitError};
use crate::sqlite::file::{Identity, ProcessLock, connect};
pub use crate::sqlite::queue::Lane;
use crate::sqlite::queue::Queue;
use crate::tx::{Tx, TxInner};
use crate::{Now, migrate};

/// At most this many units share a COMMIT.
const GROUP_UNITS: usize = 64;
/// A group takes no further unit after this time. Tests decide themselves what a group is, by holding one of its units.
const GROUP_TIME: Duration = Duration::from_millis(if cfg!(test) { 60_000 } else { 2 });
/// Connections for reading; each read holds one.
const READERS: usize = 4;

/// The SQLite side of a [`crate::Store`].
#[derive(Debug)]
pub(crate) struct Lite {
    queue: Arc<Queue<Box<dyn Member>>>,
    readers: Arc<Readers>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
    identity: Identity,
    _lock: ProcessLock,
}

/// A unit in a group: runs inside its savepoint, is answered after the group's COMMIT.
trait Member: Send {
    /// Runs the unit; true when its changes are to be kept.
    fn run(&mut self, tx: &mut Tx) -> bool;
    /// The store's own error with which the unit failed, if any.
    fn failure(&self) -> Option<&Error>;
    fn answer(self: Box<Self>, group: Result<(), Error>);
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
        self.outcome.as_ref().and_then(|o| o.as_ref().err()).and_then(UnitError::store)
    }

    fn answer(self: Box<Self>, group: Result<(), Error>) {
        let answer = match (group, self.outcome) {
            (Ok(()), Some(outcome)) | (Err(_), Some(outcome @ Err(_))) => outcome,
            (Err(error), _) => Err(E::from(error)),
            (Ok(()), None) => Err(E::from(defect("a unit was answered before it ran"))),
        };
        // The caller may have gone; the unit is committed all the same.
        let _ = self.reply.send(answer);
    }
}

fn defect(what: &'static str) -> Error {
    Error::Refused {
        doing: "run a unit",
        source: Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(what)),
    }
}

fn poll_once<T>(mut future: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> Poll<T> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lite {
    pub(crate) fn open(path: &Path, now: Now) -> Result<Self, Error> {
        Self::open_with(path, now, migrate::sqlite)
    }

    /// Opens the file and leaves its tables as they are.
    pub(crate) fn open_as_it_is(path: &Path, now: Now) -> Result<Self, Error> {
        Self::open_with(path, now, |conn, _, _| migrate::sqlite_fits(conn))
    }

    fn open_with(
        path: &Path,
        now: Now,
        tables: impl FnOnce(&Connection, &Path, &Now) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        // What is stored has microseconds, so what is compared with it has no more.
        let now: Now = Arc::new(move || now().trunc_subsecs(6));
        let lock = ProcessLock::take(path)?;
        let writer = connect(path, true)?;
        tables(&writer, path, &now)?;
        let identity = Identity::of(path);
        let readers = Arc::new(Readers { path: path.to_owned(), idle: Mutex::default(), now: now.clone() });
        let queue = Arc::new(Queue::default());
        let thread = std::thread::Builder::new()
            .name("bos.db writer".to_owned())
            .spawn({
                let queue = Arc::clone(&queue);
                move || write(writer, &queue, &now)
            })
            .map_err(|e| Error::Unavailable { doing: "start its writer", source: Some(Arc::new(e)) })?;
        Ok(Self { queue, readers, writer: Mutex::new(Some(thread)), identity, _lock: lock })
    }

    /// The installation's clock.
    pub(crate) fn now(&self) -> chrono::DateTime<chrono::Utc> {
        (self.readers.now)()
    }

    pub(crate) async fn unit<T, E, F>(&self, lane: Lane, work: F) -> Result<T, E>
    where
        F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: UnitError,
    {
        let (reply, answer) = oneshot::channel();
        let member = Box::new(Unit { work, outcome: None, reply });
        let closed = || E::from(Error::Unavailable { doing: "take a unit: it is closing", source: None });
        if !self.queue.push(lane, member) {
            return Err(closed());
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Runs a look-up of one statement where it is asked for: it takes microseconds, which a hop to another thread or a
    /// transaction around it would multiply.
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

    /// Copies the database as it is at this moment into a new file, away from the async threads.
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

    /// Ends the writer after the units that already wait, and joins it.
    pub(crate) fn close(&self) {
        self.queue.close();
        if let Some(thread) = locked(&self.writer).take() {
            let _ = thread.join();
        }
        locked(&self.readers.idle).clear();
    }
}

impl Drop for Lite {
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
            member.answer(outcome.clone());
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
            // The connection's state is no longer ours to trust: nothing of this group stands.
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

/// Runs one member in its savepoint. An error here is the group's: the disk is full, the file is gone.
fn run_member(tx: &mut Tx, member: &mut dyn Member, now: &Now) -> Result<(), Error> {
    tx.now = now();
    statement(tx, "SAVEPOINT unit", "begin a unit")?;
    let kept = member.run(tx);
    if let Some(error @ (Error::Full { .. } | Error::Unavailable { .. })) = member.failure() {
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
    /// Runs a read in a snapshot of its own.
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

    /// Runs a read whose only statement is a snapshot by itself.
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
