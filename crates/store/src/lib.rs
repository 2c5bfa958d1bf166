//! The tables of the service, in PostgreSQL and in SQLite.
//!
//! - [`Store`] is a database; [`Store::unit`] runs one transaction (`tx.rs`) and is the only way to write.
//! - `tables/` has a file per table with its statements, as methods of [`Tx`].
//! - `reads/` has the queries that callers see; they span tables and always compare the owner.
//! - `driver/` has what differs between the databases: connections, transactions, and the form of bulk writes.
//! - `retention.rs`, `audit.rs` and [`promotion`] work across tables: deletion by age, whole-table scans, and the move of an
//!   embedded installation to PostgreSQL.
//!
//! A unit of work is a closure that runs in one transaction. On PostgreSQL it runs in a task of its own and is retried after a
//! serialization failure or a deadlock; on SQLite it runs in a savepoint of the writer's group commit. The caller gets its
//! result after the COMMIT. A unit awaits nothing but its [`Tx`].
//!
//! Statements have one SQL text wherever both databases accept it. They differ in row locks (`FOR UPDATE`; SQLite has a single
//! writer), leases, partitions of `outbox_sent`, the embedded log (SQLite only), and bulk writes (one multi-row statement on
//! PostgreSQL, a prepared statement in a loop on SQLite).

mod audit;
mod clock;
mod driver;
mod error;
mod faults;
mod health;
mod lane;
mod param;
mod private;
pub mod promotion;
mod reads;
mod retention;
mod row;
mod schema;
mod sql;
mod sqlx;
mod tables;
mod trouble;
mod tx;

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::driver::postgres::PostgresDriver;
use crate::driver::sqlite::SqliteDriver;
use crate::trouble::Troubles;

pub use audit::{CommittedRow, DeadLetterPosition};
pub use clock::Now;
pub use driver::postgres::partitions::PartitionMaintenance;
pub use error::{Cause, Error, UnitError};
pub use faults::{Access, Fault, Faults};
pub use health::Health;
pub use lane::Lane;
pub use private::Private;
pub use reads::essays::EssayDetail;
pub use reads::list::ListFilter;
pub use reads::status::{AttemptCounts, StatusRow};
pub use schema::{MIN_READER, SCHEMA, supports_schema};
pub use tables::batches::{BatchRow, BatchSave, Details, Owner};
pub use tables::dead_letters::{DeadLetter, DeadLetterPlace};
pub use tables::essay_phases::{Concluded, EssayPhaseRow, EssayReport, Precision};
pub use tables::essays::{EssayCounts, EssayRow, EssayText, NewEssay, StoredEssay};
pub use tables::idempotency::{Answer, ClaimOutcome, KeyClaim, StoredAnswer};
pub use tables::inbox::InboxKey;
pub use tables::labels::Labels;
pub use tables::leases::{ClaimedLeases, Lease, ShardDistribution};
pub use tables::local_log::{LogPage, LogRecord, LogRow};
pub use tables::meta::Secret;
pub use tables::outbox::operator::{OutboxPlace, SentCount, WaitingRow};
pub use tables::outbox::{OutboxDepth, OutboxRow, PendingRow, Sent};
pub use tables::staged_texts::{StagedDepth, StagedRow, StagedText};
pub use tables::timeline::TimelineRow;
pub use tables::timers::{DueTimer, FiredBy, SetTimer};
pub use tables::tokens::TokenRow;
pub use tables::{LowWaterMark, QueueDepth};
pub use trouble::Trouble;
pub use tx::Tx;

/// A database of the service. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Arc<Backend>,
    troubles: Arc<Troubles>,
    faults: Faults,
}

#[derive(Debug)]
enum Backend {
    Sqlite(SqliteDriver),
    Postgres(PostgresDriver),
}

impl Store {
    fn new(backend: Backend) -> Self {
        Self { backend: Arc::new(backend), troubles: Arc::default(), faults: Faults::default() }
    }

    /// The same database, whose units and reads meet these faults.
    #[cfg(feature = "faults")]
    #[must_use]
    pub fn with_faults(&self, faults: Faults) -> Self {
        Self { backend: Arc::clone(&self.backend), troubles: Arc::default(), faults }
    }

    /// Opens or creates an SQLite file, migrates it and holds its process lock until the store is dropped.
    ///
    /// # Errors
    /// [`Error::Unfit`] if another process holds the lock, the folder is not writable, the file is damaged, was promoted to
    /// PostgreSQL or has a newer schema.
    pub fn open_sqlite(path: &Path, now: Now) -> Result<Self, Error> {
        Ok(Self::new(Backend::Sqlite(SqliteDriver::open(path, now)?)))
    }

    /// As [`Store::open_sqlite`], but without migrating.
    ///
    /// # Errors
    /// As [`Store::open_sqlite`], and [`Error::Unfit`] if the schema is older than [`SCHEMA`].
    pub fn inspect_sqlite(path: &Path, now: Now) -> Result<Self, Error> {
        Ok(Self::new(Backend::Sqlite(SqliteDriver::open_unmigrated(path, now)?)))
    }

    /// Connects to a PostgreSQL server with at most `connections` connections (three pools of at least one each) and checks its
    /// durability settings. Does not migrate. A URL that has a source is read again when PostgreSQL refuses the login.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the URL is not one of PostgreSQL, the database's encoding is not UTF-8, or `fsync` or
    /// `synchronous_commit` is off;
    /// [`Error::Unavailable`] if no connection can be made within 2 s.
    pub async fn connect_postgres(url: impl Into<secret::Secret>, connections: u32) -> Result<Self, Error> {
        Ok(Self::new(Backend::Postgres(PostgresDriver::connect(url.into(), connections).await?)))
    }

    /// As [`Store::connect_postgres`], but accepts standby servers and unsafe settings, which [`Store::health`] reports.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the URL is not one of PostgreSQL; [`Error::Unavailable`] if no connection can be made within 2 s.
    pub async fn inspect_postgres(url: impl Into<secret::Secret>) -> Result<Self, Error> {
        Ok(Self::new(Backend::Postgres(PostgresDriver::connect_unchecked(url.into(), 2).await?)))
    }

    /// Version, settings, rights and load of the database, for operators.
    pub async fn health(&self) -> Result<Health, Error> {
        match &*self.backend {
            Backend::Sqlite(driver) => Ok(driver.health()),
            Backend::Postgres(driver) => driver.health().await,
        }
    }

    /// Migrates PostgreSQL to [`SCHEMA`]. Does nothing on SQLite, which is migrated when it is opened.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the schema is newer than this program can read.
    pub async fn migrate_up(&self) -> Result<(), Error> {
        match &*self.backend {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(driver) => driver.migrate_up().await,
        }
    }

    /// Creates the daily partitions of `outbox_sent` up to two days ahead and drops those whose rows are all older than `keep`.
    /// Does nothing on SQLite, which has no partitions.
    pub async fn maintain_partitions(
        &self,
        keep: std::time::Duration,
    ) -> Result<PartitionMaintenance, Error> {
        match &*self.backend {
            Backend::Sqlite(_) => Ok(PartitionMaintenance::default()),
            Backend::Postgres(driver) => driver.maintain_partitions(keep).await,
        }
    }

    /// The schema version and its minimum reader version (see [`supports_schema`]); `None` before the first migration.
    pub async fn schema(&self) -> Result<Option<(i64, i64)>, Error> {
        match &*self.backend {
            Backend::Sqlite(_) => Ok(Some((SCHEMA, MIN_READER))),
            Backend::Postgres(driver) => driver.schema().await,
        }
    }

    /// Runs `work` in one transaction and returns its value after the COMMIT. An error of `work` rolls the transaction back.
    ///
    /// `work` must await nothing but its [`Tx`], and may run several times: on PostgreSQL it is retried up to three times after
    /// a serialization failure or a deadlock.
    ///
    /// # Errors
    /// The error of `work`, or the store's error as `E` if the transaction could not begin or commit. After
    /// [`Error::Unavailable`] from a COMMIT its outcome is unknown.
    pub async fn unit<T, E, F>(&self, lane: Lane, work: F) -> Result<T, E>
    where
        F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: UnitError,
    {
        let fault = self.faults.next(Access::Unit);
        if fault == Some(Fault::Unavailable) {
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
        let outcome = match &*self.backend {
            Backend::Sqlite(driver) => driver.unit(lane, work).await,
            Backend::Postgres(driver) => driver.unit(lane, work).await,
        };
        self.observed(outcome)
    }

    /// Records the outcome of a use of the database.
    fn observed<T, E: UnitError>(&self, outcome: Result<T, E>) -> Result<T, E> {
        let error = outcome.as_ref().err().and_then(UnitError::store_error);
        self.troubles.observe(error);
        if let (Backend::Sqlite(driver), Some(error)) = (&*self.backend, error) {
            driver.observe(error);
        }
        outcome
    }

    /// The trouble that the latest uses of the database have met: errors that blame no data. Work waits for their end.
    pub fn troubles(&self) -> Vec<Trouble> {
        self.troubles.now()
    }

    /// Runs `work` in a read-only snapshot; on SQLite on a blocking thread.
    ///
    /// # Errors
    /// The error of `work`, or the store's error as `E` if the snapshot could not be taken or `work` tried to write.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: UnitError,
    {
        self.check_read_fault()?;
        let outcome = match &*self.backend {
            Backend::Sqlite(driver) => driver.read(work).await,
            Backend::Postgres(driver) => driver.read(work).await,
        };
        self.observed(outcome)
    }

    /// As [`Store::read`], for a single look-up by key: on SQLite it runs on the calling thread, because handing a look-up of
    /// microseconds to another thread costs several times as much. `work` must run one statement only: on SQLite there is no
    /// snapshot around it.
    pub async fn peek<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: UnitError,
    {
        self.check_read_fault()?;
        let outcome = match &*self.backend {
            Backend::Sqlite(driver) => driver.peek(work),
            Backend::Postgres(driver) => driver.read(work).await,
        };
        self.observed(outcome)
    }

    fn check_read_fault(&self) -> Result<(), Error> {
        match self.faults.next(Access::Read) {
            None => Ok(()),
            Some(Fault::Unavailable | Fault::RolledBack | Fault::CommitUnknown) => {
                Err(Faults::error("begin a read"))
            }
        }
    }

    /// How many units a task should run concurrently: 4 on PostgreSQL, where units overlap while they wait for round trips and
    /// the disk; 1 on SQLite, whose single writer groups waiting units itself.
    pub fn max_concurrent_units(&self) -> usize {
        match &*self.backend {
            Backend::Sqlite(_) => 1,
            Backend::Postgres(_) => 4,
        }
    }

    /// The database file or write-ahead log of SQLite that was moved, replaced or deleted since it was opened. Later writes go
    /// to a file that no later start will open.
    pub fn missing_file(&self) -> Option<&Path> {
        match &*self.backend {
            Backend::Sqlite(driver) => driver.missing_file(),
            Backend::Postgres(_) => None,
        }
    }

    /// Copies an SQLite database, in a consistent state, into a new file.
    ///
    /// # Errors
    /// [`Error::Unfit`] on PostgreSQL.
    pub async fn copy_to(&self, file: &Path) -> Result<(), Error> {
        match &*self.backend {
            Backend::Sqlite(driver) => driver.copy_to(file.to_owned()).await,
            Backend::Postgres(_) => Err(Error::Unfit {
                problem: "only an embedded database can be copied into a file".to_owned(),
            }),
        }
    }

    /// Waits for running and queued units, then closes every connection.
    pub async fn close(&self) {
        match &*self.backend {
            Backend::Sqlite(driver) => driver.close(),
            Backend::Postgres(driver) => driver.close().await,
        }
    }
}

/// The same work, failing after it has run, so that the unit is rolled back.
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
