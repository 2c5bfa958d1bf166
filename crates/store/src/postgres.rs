//! PostgreSQL: a pool for reading, one for callers' units and one for those of our own tasks. Deadlines are the server's.
//!
//! Every unit runs in a task of its own that the caller awaits, so a caller that goes away never cancels a `begin` or a
//! `commit` half-way (sqlx 0.9.0 would hand the connection back inside an open transaction).

mod primary;

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::error::{Error, UnitError};
use crate::health::{self, Health};
use crate::migrate;
use crate::partitions::{self, Upkeep};
use crate::postgres::primary::Primary;
use crate::riders::Riders;
use crate::sqlite::Lane;
use crate::sqlx;
use crate::sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use crate::sqlx::{Connection as _, Row as _};
use crate::tx::{Tx, TxInner, alone};

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a unit is run again after a serialisation failure or a deadlock.
const RERUNS: usize = 3;

/// How a unit begins.
const WRITE: &str = "BEGIN; SELECT clock_timestamp()";
/// How a read begins: all its statements see the same rows.
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT clock_timestamp()";

/// The PostgreSQL side of a [`crate::Store`].
#[derive(Debug)]
pub(crate) struct Pg {
    /// However many callers wait for a connection, the relay, the leases and the timers go on.
    callers: PgPool,
    tasks: PgPool,
    reads: PgPool,
    units: TaskTracker,
    /// None where any server will do.
    primary: Option<Primary>,
}

impl Pg {
    pub(crate) async fn connect(url: &str, connections: u32) -> Result<Self, Error> {
        let pg = Self::pooled(url, connections, Some(Primary::default())).await?;
        pg.check().await?;
        Ok(pg)
    }

    /// Connects, and refuses no server.
    pub(crate) async fn reach(url: &str, connections: u32) -> Result<Self, Error> {
        Self::pooled(url, connections, None).await
    }

    async fn pooled(url: &str, connections: u32, primary: Option<Primary>) -> Result<Self, Error> {
        let options: PgConnectOptions = url
            .parse()
            .map_err(|_| Error::Unfit { problem: "the database URL is not a PostgreSQL URL".to_owned() })?;
        let options = options.application_name("bos").options([
            ("statement_timeout", "5s"),
            ("lock_timeout", "2s"),
            ("idle_in_transaction_session_timeout", "10s"),
            ("synchronous_commit", "on"),
            ("timezone", "UTC"),
            // Compiling a statement takes longer than any of ours, and its estimate does not know that.
            ("jit", "off"),
            // Every statement has an index for what it looks up. By statistics of a moment when a queue was empty, PostgreSQL
            // would read all of it for each row of another: 700 ms for 500 messages, and again until it is analyzed once more.
            ("enable_seqscan", "off"),
            ("enable_bitmapscan", "off"),
        ]);
        let pool = |connections| {
            let pool = PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(PATIENCE)
                // A round trip each time; `begin` notices a dead connection as well.
                .test_before_acquire(false);
            let pool = primary.iter().fold(pool, |pool, primary| primary.kept_to(pool));
            pool.connect_lazy_with(options.clone())
        };
        // Writers wait for locks and disks, readers do not; none of the three may starve another.
        let reads = (connections / 4).max(1);
        let tasks = (connections * 3 / 8).max(1);
        let callers = connections.saturating_sub(reads + tasks).max(1);
        let pg = Self {
            callers: pool(callers),
            tasks: pool(tasks),
            reads: pool(reads),
            units: TaskTracker::new(),
            primary,
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
        let primary = self.primary.clone();
        let work = async move {
            let outcome = run(pool, work).await;
            if let (Some(primary), Err(error)) = (primary, &outcome)
                && let Some(error) = error.store()
            {
                primary.met(error);
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
        let pool = self.reads.clone();
        let (reply, answer) = oneshot::channel();
        self.units.spawn(async move {
            let mut tx = match begin(&pool, READ).await {
                Ok(tx) => tx,
                Err(error) => return drop(reply.send(Err(E::from(error)))),
            };
            // The reader need not wait for the end of a transaction that has changed nothing; it may be gone, too.
            let _ = reply.send(work(&mut tx).await);
            if let Err(error) = finish(tx, false).await {
                tracing::debug!(%error, "a connection is given up");
            }
        });
        answer.await.unwrap_or_else(|_| Err(E::from(panicked())))
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
        let mut tx = begin(&pool, WRITE).await?;
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

/// One round trip: the pool does not try a connection before it gives it away ([`Pg::reach`]), and the clock comes along.
async fn begin(pool: &PgPool, text: &'static str) -> Result<Tx, Error> {
    // A server that was started again has left every idle connection dead; nothing has been asked of any of them yet.
    let mut dead = pool.options().get_max_connections();
    loop {
        let connection = pool.acquire().await.map_err(|e| Error::postgres("begin", e))?;
        let mut open = Open(Some(connection));
        match sqlx::raw_sql(text).fetch_one(open.connection()?).await.and_then(|row| row.try_get(0)) {
            Ok(now) => return Ok(Tx { inner: TxInner::Postgres(open, Riders::default()), now }),
            Err(error) if dead > 0 && is_of_connection(&error) => dead -= 1,
            Err(error) => return Err(Error::postgres("begin", error)),
        }
    }
}

/// Whether the connection is at fault, or the end of the server's process behind it.
fn is_of_connection(error: &sqlx::Error) -> bool {
    let ended = |code: &str| code.starts_with("57P");
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_))
        || error.as_database_error().and_then(sqlx::DatabaseError::code).is_some_and(|code| ended(&code))
}

async fn finish(tx: Tx, keep: bool) -> Result<(), Error> {
    let TxInner::Postgres(mut open, mut riders) = tx.inner else { return Ok(()) };
    if keep {
        alone(&mut open, &mut riders).await?;
    }
    let (doing, text) = if keep { ("commit", "COMMIT") } else { ("roll back", "ROLLBACK") };
    sqlx::raw_sql(text).execute(open.connection()?).await.map_err(|e| Error::postgres(doing, e))?;
    // Outside a transaction again: the pool may have it.
    open.0.take();
    Ok(())
}

/// A connection inside a transaction. One that is dropped there is closed, which rolls back: the pool never gets it.
pub(crate) struct Open(Option<sqlx::PoolConnection<sqlx::Postgres>>);

impl Open {
    /// The connection.
    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, Error> {
        let gone = || Error::postgres("use a transaction that has ended", sqlx::Error::WorkerCrashed);
        self.0.as_deref_mut().ok_or_else(gone)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
