//! A database of the server, as seen beside the service.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use sqlx_core::{
    connection::Connection as _, decode::Decode, query::query, query_scalar::query_scalar,
    sql_str::AssertSqlSafe, types::Type,
};
use sqlx_postgres::{PgConnection, Postgres};
use tokio::runtime::{Builder, Runtime};

const POLL: Duration = Duration::from_millis(2);
const DEADLINE: Duration = Duration::from_mins(5);

/// A connection, and the database it leads to.
pub(super) struct Database {
    runtime: Runtime,
    connection: PgConnection,
    pub(super) url: String,
}

impl Database {
    /// Makes the database `name` anew on the server that `url` leads to.
    pub(super) fn make(url: &str, name: &str) -> Result<Self> {
        let mut server = Self::open(url.to_owned())?;
        server.run(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
        server.run(format!("CREATE DATABASE {name}"))?;
        // What an earlier measurement has left to be written must not be written during this one.
        server.run("CHECKPOINT".to_owned())?;
        let (start, _) = url.rsplit_once('/').context("the URL names no database")?;
        Self::open(format!("{start}/{name}"))
    }

    fn open(url: String) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
        let connection = runtime.block_on(PgConnection::connect(&url)).context("connecting to PostgreSQL")?;
        Ok(Self { runtime, connection, url })
    }

    pub(super) fn run(&mut self, statement: String) -> Result<()> {
        let running = query(AssertSqlSafe(statement)).execute(&mut self.connection);
        self.runtime.block_on(running).map(drop).context("asking PostgreSQL")
    }

    /// The one number that a query gives.
    pub(super) fn number<N>(&mut self, statement: &'static str) -> Result<N>
    where
        N: for<'r> Decode<'r, Postgres> + Type<Postgres> + Send + Unpin,
    {
        let asking = query_scalar(statement).fetch_one(&mut self.connection);
        self.runtime.block_on(asking).with_context(|| format!("asking PostgreSQL: {statement}"))
    }

    /// Waits until a query gives at least so much.
    pub(super) fn wait_for(&mut self, statement: &'static str, least: i64) -> Result<()> {
        let begun = Instant::now();
        while self.number::<i64>(statement)? < least {
            ensure!(begun.elapsed() < DEADLINE, "not {least} after {DEADLINE:?}: {statement}");
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Waits until a query gives 0.
    pub(super) fn wait_for_none(&mut self, statement: &'static str) -> Result<()> {
        let begun = Instant::now();
        while self.number::<i64>(statement)? > 0 {
            ensure!(begun.elapsed() < DEADLINE, "still there after {DEADLINE:?}: {statement}");
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Fails unless this number of batches has ended, all of them with success.
    pub(super) fn all_succeeded(&mut self, batches: i64) -> Result<()> {
        let succeeded: i64 =
            self.number("SELECT count(*) FROM batches WHERE status = 'completed_successfully'")?;
        ensure!(succeeded == batches, "{succeeded} of {batches} batches ended with success");
        Ok(())
    }
}
