//! PostgreSQL: one connection pool for reads, one for units of requests and one for units of background tasks. Time limits of
//! statements, locks and idle transactions are settings of the session, so the server enforces them.
//!
//! Every unit runs in a Tokio task of its own that the caller awaits, so a cancelled caller never cancels a `begin` or `commit`
//! half-way (sqlx 0.9.0 would return the connection to the pool inside an open transaction).

mod health;
pub(crate) mod partitions;
mod primary;
mod server;

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use secret::Secret;

use crate::driver::postgres::partitions::PartitionMaintenance;
use crate::driver::postgres::primary::PrimaryGuard;
use crate::driver::postgres::server::Server;
use crate::error::{Error, UnitError};
use crate::health::{Health, UTF8};
use crate::lane::Lane;
use crate::schema;
use crate::sqlx;
use crate::sqlx::Row as _;
use crate::sqlx::postgres::{PgPool, PgPoolOptions};
use crate::tx::deferred::DeferredWrites;
use crate::tx::transaction::OpenTransaction;
use crate::tx::{Tx, TxInner};

/// Time limit to get a connection from a pool, or to make one (chosen).
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum retries of a unit after serialization failures and deadlocks (chosen).
const MAX_RETRIES: usize = 3;

/// Begins a unit.
const BEGIN_UNIT: &str = "BEGIN; SELECT clock_timestamp()";
/// Begins a read, whose statements all see the same snapshot.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT clock_timestamp()";

/// The PostgreSQL side of a [`crate::Store`].
#[derive(Debug)]
pub(crate) struct PostgresDriver {
    server: Server,
    /// Apart from `tasks`, so that waiting requests take no connection from the relay, the leases and the timers.
    callers: PgPool,
    tasks: PgPool,
    reads: PgPool,
    units: TaskTracker,
    /// `None` if standby servers are accepted.
    primary: Option<PrimaryGuard>,
}

impl PostgresDriver {
    pub(crate) async fn connect(url: Secret, connections: u32) -> Result<Self, Error> {
        let pg = Self::pooled(url, connections, Some(PrimaryGuard::default())).await?;
        pg.check_encoding().await?;
        pg.check_durability().await?;
        Ok(pg)
    }

    /// Connects without checking the server's role and settings.
    pub(crate) async fn connect_unchecked(url: Secret, connections: u32) -> Result<Self, Error> {
        Self::pooled(url, connections, None).await
    }

    async fn pooled(url: Secret, connections: u32, primary: Option<PrimaryGuard>) -> Result<Self, Error> {
        let (server, options) = Server::new(url, primary.is_some())?;
        let pool = |connections| {
            let pool = PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                // Saves a round trip; `begin` detects a dead connection.
                .test_before_acquire(false);
            let pool = primary.iter().fold(pool, |pool, primary| primary.guard(pool));
            pool.connect_lazy_with(options.clone())
        };
        // Writers wait for locks and the disk, readers do not; no pool may starve another.
        let reads = (connections / 4).max(1);
        let tasks = (connections * 3 / 8).max(1);
        let callers = connections.saturating_sub(reads + tasks).max(1);
        let (callers, tasks, reads) = (pool(callers), pool(tasks), pool(reads));
        server.set_pools(vec![callers.clone(), tasks.clone(), reads.clone()]);
        let pg = Self { server, callers, tasks, reads, units: TaskTracker::new(), primary };
        drop(pg.server.acquire(&pg.reads).await?);
        Ok(pg)
    }

    pub(crate) async fn health(&self) -> Result<Health, Error> {
        // Over a pool that writes, to report its rights and settings.
        let mut connection = self.server.acquire(&self.tasks).await?;
        health::read(&mut connection).await
    }

    /// Rejects a database that cannot store every text.
    async fn check_encoding(&self) -> Result<(), Error> {
        let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
            .fetch_one(&self.reads)
            .await
            .map_err(|e| Error::postgres("read its encoding", e))?;
        if encoding == UTF8 {
            return Ok(());
        }
        Err(Error::Unfit {
            problem: format!(
                "the database has the encoding {encoding}, which cannot store every text; BOS needs UTF8: create another with \
                 CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
            ),
        })
    }

    /// Rejects a server that may lose acknowledged commits.
    async fn check_durability(&self) -> Result<(), Error> {
        for setting in ["fsync", "synchronous_commit"] {
            let value: String = sqlx::query_scalar("SELECT current_setting($1)")
                .bind(setting)
                .fetch_one(&self.reads)
                .await
                .map_err(|e| Error::postgres("read its settings", e))?;
            if value == "off" {
                return Err(Error::Unfit {
                    problem: format!(
                        "PostgreSQL runs with {setting}=off and may lose acknowledged commits; turn it on"
                    ),
                });
            }
        }
        Ok(())
    }

    pub(crate) async fn migrate_up(&self) -> Result<(), Error> {
        schema::migrate_postgres(&self.tasks).await?;
        // On failure the service creates the partitions later; until then the DEFAULT partition takes the rows.
        let _ = partitions::maintain(&self.tasks, None).await;
        Ok(())
    }

    pub(crate) async fn maintain_partitions(&self, keep: Duration) -> Result<PartitionMaintenance, Error> {
        let pool = self.tasks.clone();
        let work = async move { partitions::maintain(&pool, Some(keep)).await };
        self.units.spawn(work).await.unwrap_or_else(|_| Err(panicked()))
    }

    pub(crate) async fn schema(&self) -> Result<Option<(i64, i64)>, Error> {
        let mut tx = begin(&self.server, &self.reads, BEGIN_READ).await?;
        let found = match &mut tx.inner {
            TxInner::Postgres(open, _) => schema::postgres_version(open.connection()?).await?,
            TxInner::Sqlite(_) => None,
        };
        finish(tx, false).await?;
        Ok(found)
    }

    pub(crate) async fn unit<T, E, F>(&self, lane: Lane, work: F) -> Result<T, E>
    where
        F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: UnitError,
    {
        let pool = match lane {
            Lane::Caller | Lane::Bulk => self.callers.clone(),
            Lane::Task => self.tasks.clone(),
        };
        let (server, primary) = (self.server.clone(), self.primary.clone());
        let work = async move {
            let outcome = run(server, pool, work).await;
            if let (Some(primary), Err(error)) = (primary, &outcome)
                && let Some(error) = error.store_error()
            {
                primary.observe(error);
            }
            outcome
        };
        self.units.spawn(work).await.unwrap_or_else(|_| Err(E::from(panicked())))
    }

    pub(crate) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: UnitError,
    {
        let (server, pool) = (self.server.clone(), self.reads.clone());
        let (reply, outcome) = oneshot::channel();
        self.units.spawn(async move {
            let mut tx = match begin(&server, &pool, BEGIN_READ).await {
                Ok(tx) => tx,
                Err(error) => return drop(reply.send(Err(E::from(error)))),
            };
            // The transaction changed nothing, so the caller need not wait for its end; it may also have been dropped.
            let _ = reply.send(work(&mut tx).await);
            if let Err(error) = finish(tx, false).await {
                tracing::debug!(%error, "cannot end a read on PostgreSQL; its connection is closed");
            }
        });
        outcome.await.unwrap_or_else(|_| Err(E::from(panicked())))
    }

    pub(crate) async fn close(&self) {
        self.units.close();
        self.units.wait().await;
        self.callers.close().await;
        self.tasks.close().await;
        self.reads.close().await;
    }
}

const fn panicked() -> Error {
    Error::Defect { what: "a unit panicked" }
}

async fn run<T, E, F>(server: Server, pool: PgPool, mut work: F) -> Result<T, E>
where
    F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send,
    E: UnitError,
{
    let mut retries = MAX_RETRIES;
    loop {
        let mut tx = begin(&server, &pool, BEGIN_UNIT).await?;
        let outcome = work(&mut tx).await;
        let committed = finish(tx, outcome.is_ok()).await;
        let again = |e: Option<&Error>| e.is_some_and(Error::is_retryable);
        match (outcome, committed) {
            (Err(error), _) if retries > 0 && again(error.store_error()) => retries -= 1,
            (Ok(_), Err(error)) if retries > 0 && again(Some(&error)) => retries -= 1,
            (Ok(value), Ok(())) => return Ok(value),
            (Ok(_), Err(error)) => return Err(E::from(error)),
            (Err(error), _) => return Err(error),
        }
    }
}

/// Begins a transaction and reads the clock in one round trip. The pool does not test connections, so a dead one is replaced
/// here.
async fn begin(server: &Server, pool: &PgPool, text: &'static str) -> Result<Tx, Error> {
    // After a restart of the server every idle connection is dead. Retrying is safe, as nothing was sent on them yet.
    let mut dead = pool.options().get_max_connections();
    loop {
        let connection = server.acquire(pool).await?;
        let mut open = OpenTransaction::new(connection);
        match sqlx::raw_sql(text).fetch_one(open.connection()?).await.and_then(|row| row.try_get(0)) {
            Ok(now) => return Ok(Tx { inner: TxInner::Postgres(open, DeferredWrites::default()), now }),
            Err(error) if dead > 0 && is_connection_error(&error) => dead -= 1,
            Err(error) => return Err(Error::postgres("begin", error)),
        }
    }
}

/// Whether the connection broke or its server process was shut down (SQLSTATE class 57P).
fn is_connection_error(error: &sqlx::Error) -> bool {
    let ended = |code: &str| code.starts_with("57P");
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_))
        || error.as_database_error().and_then(sqlx::DatabaseError::code).is_some_and(|code| ended(&code))
}

async fn finish(tx: Tx, keep: bool) -> Result<(), Error> {
    let TxInner::Postgres(mut open, mut deferred) = tx.inner else { return Ok(()) };
    if keep {
        open.flush(&mut deferred).await?;
    }
    let (doing, text) = if keep { ("commit", "COMMIT") } else { ("roll back", "ROLLBACK") };
    sqlx::raw_sql(text).execute(open.connection()?).await.map_err(|e| Error::postgres(doing, e))?;
    open.release();
    Ok(())
}
