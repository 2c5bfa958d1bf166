//! The tables of the service, in PostgreSQL and SQLite: one unit of work, one file per table, one SQL text wherever both
//! databases take it.
//!
//! [`Store::unit`] is the only way to write. It runs a closure in one transaction: on PostgreSQL in a task of its own, re-run
//! after a serialisation failure; on SQLite in a savepoint of the writer's group. The caller is answered after the COMMIT.
//! Nothing inside a unit awaits anything but its [`Tx`].
//!
//! Where the databases differ: row locks (`FOR UPDATE` against SQLite's one writer), leases, partitions of `outbox_sent`, the
//! embedded log (SQLite only), and the strategy of bulk writes (multi-row statements against a prepared statement in a loop).

mod audit;
mod batches;
mod bulk;
mod dead_letters;
mod error;
mod essay_phases;
mod essays;
mod faults;
mod health;
mod idempotency;
mod inbox;
mod labels;
mod leases;
mod local_log;
mod meta;
mod migrate;
mod outbox;
mod param;
mod partitions;
mod postgres;
mod private;
pub mod promotion;
mod prune;
mod reads;
mod riders;
mod sqlite;
mod sqlx;
mod staged_texts;
mod timeline;
mod timers;
mod tokens;
mod tx;

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

pub use audit::{AsidePlace, CommittedRow};
pub use batches::{BatchRow, BatchSave, Details, NewBatch, Owner};
pub use dead_letters::DeadLetter;
pub use error::{Cause, Error, UnitError};
pub use essay_phases::{Concluded, EssayPhaseRow, EssayReport};
pub use essays::{EssayCounts, EssayRow, EssayText, NewEssay, StoredEssay};
pub use faults::{Access, Fault, Faults};
pub use health::Health;
pub use idempotency::{Answer, Claimed, KeyClaim, StoredAnswer};
pub use inbox::InboxKey;
pub use labels::Labels;
pub use leases::{Claim, Lease, Sharing};
pub use local_log::{LogPage, LogRecord, LogRow};
pub use meta::Secret;
pub use migrate::{MIN_READER, SCHEMA, fits};
pub use outbox::desk::{SentCount, WaitingRow};
pub use outbox::{OutboxDepth, OutboxRow, PendingRow, Sent, ShardMark};
pub use partitions::Upkeep;
pub use private::Private;
pub use reads::essays::EssayDetail;
pub use reads::list::ListFilter;
pub use reads::results::{PhaseResult, ResultRow};
pub use reads::status::{AttemptCounts, StatusRow};
pub use sqlite::Lane;
pub use staged_texts::{StagedDepth, StagedRow, StagedText};
pub use timeline::TimelineRow;
pub use timers::{DueTimer, SetTimer, Waiting};
pub use tokens::TokenRow;
pub use tx::Tx;

/// Where SQLite takes the time of a unit from.
pub type Now = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A database of the service. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Arc<Backend>,
    faults: Faults,
}

#[derive(Debug)]
enum Backend {
    Sqlite(sqlite::Lite),
    Postgres(postgres::Pg),
}

impl Store {
    fn of(backend: Backend) -> Self {
        Self { backend: Arc::new(backend), faults: Faults::default() }
    }

    /// The same database, seen by somebody whom these faults befall.
    #[cfg(feature = "faults")]
    #[must_use]
    pub fn with_faults(&self, faults: Faults) -> Self {
        Self { backend: Arc::clone(&self.backend), faults }
    }

    /// Opens (or makes) an SQLite file, brings its tables up to date and takes the lock of its folder for life.
    pub fn open_sqlite(path: &Path, now: Now) -> Result<Self, Error> {
        Ok(Self::of(Backend::Sqlite(sqlite::Lite::open(path, now)?)))
    }

    /// As [`Store::open_sqlite`], and changes nothing: a file whose tables are not up to date is refused.
    pub fn look_at_sqlite(path: &Path, now: Now) -> Result<Self, Error> {
        Ok(Self::of(Backend::Sqlite(sqlite::Lite::open_as_it_is(path, now)?)))
    }

    /// Connects to a PostgreSQL server, with at least two and at most `connections` connections, and checks that it keeps what
    /// it acknowledges. The schema is not touched.
    pub async fn connect_postgres(url: &str, connections: u32) -> Result<Self, Error> {
        Ok(Self::of(Backend::Postgres(postgres::Pg::connect(url, connections).await?)))
    }

    /// As [`Store::connect_postgres`], and takes the server as it is: [`Store::health`] then says what is wrong with it.
    pub async fn look_at_postgres(url: &str) -> Result<Self, Error> {
        Ok(Self::of(Backend::Postgres(postgres::Pg::reach(url, 2).await?)))
    }

    /// How the database is.
    pub async fn health(&self) -> Result<Health, Error> {
        match &*self.backend {
            Backend::Sqlite(lite) => Ok(health::sqlite(lite.now())),
            Backend::Postgres(pg) => pg.health().await,
        }
    }

    /// Brings PostgreSQL's tables up to date; SQLite's are, from the moment it is open.
    pub async fn migrate_up(&self) -> Result<(), Error> {
        match &*self.backend {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(pg) => pg.migrate_up().await,
        }
    }

    /// Makes the partitions of the days that come and drops those that hold nothing younger than `keep`. SQLite has none.
    pub async fn keep_up_partitions(&self, keep: std::time::Duration) -> Result<Upkeep, Error> {
        match &*self.backend {
            Backend::Sqlite(_) => Ok(Upkeep::default()),
            Backend::Postgres(pg) => pg.keep_up_partitions(keep).await,
        }
    }

    /// The schema's version and the oldest reader it allows; none when there are no tables yet.
    pub async fn schema(&self) -> Result<Option<(i64, i64)>, Error> {
        match &*self.backend {
            Backend::Sqlite(_) => Ok(Some((SCHEMA, MIN_READER))),
            Backend::Postgres(pg) => pg.schema().await,
        }
    }

    /// Runs `work` in one transaction and answers after its COMMIT. An error of `work` rolls everything back.
    pub async fn unit<T, E, F>(&self, lane: Lane, work: F) -> Result<T, E>
    where
        F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: UnitError,
    {
        let fault = self.faults.next(Access::Unit);
        if fault == Some(Fault::Away) {
            return Err(E::from(Faults::error("begin a unit")));
        }
        let outcome = if fault == Some(Fault::RolledBack) {
            self.commit(lane, rolled_back(work)).await
        } else {
            self.commit(lane, work).await
        };
        if fault == Some(Fault::CommitUnknown) && outcome.is_ok() {
            return Err(E::from(Faults::error("say whether it committed")));
        }
        outcome
    }

    async fn commit<T, E, F>(&self, lane: Lane, work: F) -> Result<T, E>
    where
        F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: UnitError,
    {
        match &*self.backend {
            Backend::Sqlite(lite) => lite.unit(lane, work).await,
            Backend::Postgres(pg) => pg.unit(lane, work).await,
        }
    }

    /// Runs `work` in a read-only snapshot, away from the async threads.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: UnitError,
    {
        self.reads()?;
        match &*self.backend {
            Backend::Sqlite(lite) => lite.read(work).await,
            Backend::Postgres(pg) => pg.read(work).await,
        }
    }

    /// As [`Store::read`], for one look-up by key that takes microseconds: on SQLite it runs right here, because a hop to
    /// another thread would cost several times the look-up. One statement, not more: it alone is what is of one moment.
    pub async fn peek<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: UnitError,
    {
        self.reads()?;
        match &*self.backend {
            Backend::Sqlite(lite) => lite.peek(work),
            Backend::Postgres(pg) => pg.read(work).await,
        }
    }

    fn reads(&self) -> Result<(), Error> {
        match self.faults.next(Access::Read) {
            None => Ok(()),
            Some(Fault::Away | Fault::RolledBack | Fault::CommitUnknown) => {
                Err(Faults::error("begin a read"))
            }
        }
    }

    /// How many units of one caller are worth running side by side. On PostgreSQL a unit waits for round trips and a disk, and
    /// others go on meanwhile; on SQLite there is one writer, which makes a group of what waits for it.
    pub fn units_at_once(&self) -> usize {
        match &*self.backend {
            Backend::Sqlite(_) => 1,
            Backend::Postgres(_) => 4,
        }
    }

    /// The file of an SQLite database that is not where it was opened: moved, replaced or deleted. What is written to it from
    /// then on nobody will find.
    pub fn missing_file(&self) -> Option<&Path> {
        match &*self.backend {
            Backend::Sqlite(lite) => lite.missing_file(),
            Backend::Postgres(_) => None,
        }
    }

    /// Waits for the units under way and closes every connection.
    pub async fn close(&self) {
        match &*self.backend {
            Backend::Sqlite(lite) => lite.close(),
            Backend::Postgres(pg) => pg.close().await,
        }
    }
}

/// The same work, which fails after it is done: a unit that is rolled back.
fn rolled_back<T, E, F>(mut work: F) -> impl for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send
where
    F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send,
    T: Send + 'static,
    E: UnitError,
{
    move |tx| {
        let done = work(tx);
        Box::pin(async move {
            done.await?;
            Err(E::from(Faults::error("finish a unit")))
        })
    }
}
