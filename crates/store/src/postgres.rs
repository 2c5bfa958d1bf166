//! PostgreSQL: a pool for reading, one for callers' units and one for those of our own tasks. Deadlines are the server's.
//!
//! Every unit runs in a task of its own that the caller awaits, so a caller that goes away never cancels a `begin` or a
//! `commit` half-way (sqlx 0.9.0 would hand the connection back inside an open transaction).

use std::time::Duration;

use futures::future::BoxFuture;
use tokio_util::task::TaskTracker;

use crate::error::{Error, UnitError};
use crate::health::{self, Health};
use crate::migrate;
use crate::partitions::{self, Upkeep};
use crate::sqlite::Lane;
use crate::sqlx;
use crate::sqlx::Connection as _;
use crate::sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use crate::tx::{Tx, TxInner};

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a unit is run again after a serialisation failure or a deadlock.
const RERUNS: usize = 3;

/// The PostgreSQL side of a [`crate::Store`].
#[derive(Debug)]
pub(crate) struct Pg {
    /// However many callers wait for a connection, the relay, the leases and the timers go on.
    callers: PgPool,
    tasks: PgPool,
    reads: PgPool,
    units: TaskTracker,
}

impl Pg {
    pub(crate) async fn connect(url: &str, connections: u32) -> Result<Self, Error> {
        let pg = Self::reach(url, connections).await?;
        pg.check().await?;
        Ok(pg)
    }

    /// Connects, and refuses no server.
    pub(crate) async fn reach(url: &str, connections: u32) -> Result<Self, Error> {
        let options: PgConnectOptions = url
            .parse()
            .map_err(|_| Error::Unfit { problem: "the database URL is not a PostgreSQL URL".to_owned() })?;
        let options = options.application_name("bos").options([
            ("statement_timeout", "5s"),
            ("lock_timeout", "2s"),
            ("idle_in_transaction_session_timeout", "10s"),
            ("synchronous_commit", "on"),
            ("timezone", "UTC"),
        ]);
        let pool = |connections| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(PATIENCE)
                .connect_lazy_with(options.clone())
        };
        // Writers wait for locks and disks, readers do not; none of the three may starve another.
        let reads = (connections * 5 / 16).max(1);
        let tasks = (connections / 4).max(1);
        let callers = connections.saturating_sub(reads + tasks).max(1);
        let pg = Self {
            callers: pool(callers),
            tasks: pool(tasks),
            reads: pool(reads),
            units: TaskTracker::new(),
        };
        if let Err(error) = pg.reads.acquire().await {
            // A pool that waits in vain says no more than that; a connection by itself says why.
            let alone = tokio::time::timeout(PATIENCE, PgConnection::connect_with(&options)).await;
            let why = match alone {
                Ok(Err(why)) => why,
                Ok(Ok(_)) | Err(_) => error,
            };
            return Err(Error::postgres("be reached", why));
        }
        Ok(pg)
    }

    pub(crate) async fn health(&self) -> Result<Health, Error> {
        // With the rights and the settings of whoever writes.
        health::postgres(&self.tasks).await
    }

    /// Refuses a server that would break the promise of durability.
    async fn check(&self) -> Result<(), Error> {
        for setting in ["fsync", "synchronous_commit"] {
            let value: String = sqlx::query_scalar("SELECT current_setting($1)")
                .bind(setting)
                .fetch_one(&self.reads)
                .await
                .map_err(|e| Error::postgres("read its settings", e))?;
            if value == "off" {
                return Err(Error::Unfit {
                    problem: format!(
                        "PostgreSQL runs with {setting}=off and may lose what it acknowledged; turn it on"
                    ),
                });
            }
        }
        Ok(())
    }

    pub(crate) async fn migrate_up(&self) -> Result<(), Error> {
        migrate::postgres(&self.tasks).await?;
        // What is not made now the service makes, and until then there is the DEFAULT partition.
        let _ = partitions::keep_up(&self.tasks, None).await;
        Ok(())
    }

    pub(crate) async fn keep_up_partitions(&self, keep: Duration) -> Result<Upkeep, Error> {
        let pool = self.tasks.clone();
        let work = async move { partitions::keep_up(&pool, Some(keep)).await };
        self.units.spawn(work).await.unwrap_or_else(|_| Err(panicked()))
    }

    pub(crate) async fn schema(&self) -> Result<Option<(i64, i64)>, Error> {
        migrate::postgres_version(&self.reads).await
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
        self.units.spawn(run(pool, work)).await.unwrap_or_else(|_| Err(E::from(panicked())))
    }

    pub(crate) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: UnitError,
    {
        let pool = self.reads.clone();
        let reading = async move {
            let mut tx = begin(&pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            let outcome = work(&mut tx).await;
            finish(tx, false).await?;
            outcome
        };
        self.units.spawn(reading).await.unwrap_or_else(|_| Err(E::from(panicked())))
    }

    pub(crate) async fn close(&self) {
        self.units.close();
        self.units.wait().await;
        self.callers.close().await;
        self.tasks.close().await;
        self.reads.close().await;
    }
}

fn panicked() -> Error {
    Error::Refused {
        doing: "run a unit",
        source: std::sync::Arc::from(Box::<dyn std::error::Error + Send + Sync>::from("a unit panicked")),
    }
}

async fn run<T, E, F>(pool: PgPool, mut work: F) -> Result<T, E>
where
    F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send,
    E: UnitError,
{
    let mut reruns = RERUNS;
    loop {
        let mut tx = begin(&pool, "BEGIN").await?;
        let outcome = work(&mut tx).await;
        let committed = finish(tx, outcome.is_ok()).await;
        let again = |e: Option<&Error>| e.is_some_and(Error::may_pass_when_run_again);
        match (outcome, committed) {
            (Err(error), _) if reruns > 0 && again(error.store()) => reruns -= 1,
            (Ok(_), Err(error)) if reruns > 0 && again(Some(&error)) => reruns -= 1,
            (Ok(value), Ok(())) => return Ok(value),
            (Ok(_), Err(error)) => return Err(E::from(error)),
            (Err(error), _) => return Err(error),
        }
    }
}

async fn begin(pool: &PgPool, text: &'static str) -> Result<Tx, Error> {
    let mut tx = pool.begin_with(text).await.map_err(|e| Error::postgres("begin", e))?;
    let now = sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(&mut *tx)
        .await
        .map_err(|e| Error::postgres("read its clock", e))?;
    Ok(Tx { inner: TxInner::Postgres(tx), now })
}

async fn finish(tx: Tx, keep: bool) -> Result<(), Error> {
    match tx.inner {
        TxInner::Postgres(tx) if keep => tx.commit().await.map_err(|e| Error::postgres("commit", e)),
        TxInner::Postgres(tx) => tx.rollback().await.map_err(|e| Error::postgres("roll back", e)),
        TxInner::Sqlite(_) => Ok(()),
    }
}
