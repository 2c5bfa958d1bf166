//! A look into the service's file from outside: read-only, through SQLite, one short read at a time.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OpenFlags, params};

/// How often a visitor looks for what it waits for; also the error of the times it measures.
const POLL: Duration = Duration::from_micros(500);
const DEADLINE: Duration = Duration::from_mins(5);

pub(crate) struct Visitor(Connection);

impl Visitor {
    /// Opens the file of a running service in its data folder.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn =
            Connection::open_with_flags(folder.join("bos.db"), flags).context("looking into bos.db")?;
        conn.busy_timeout(Duration::from_secs(5))?;
        Ok(Self(conn))
    }

    /// The last instant at which a batch ended.
    pub(crate) fn last_end(&self) -> Result<String> {
        let mut query = self.0.prepare_cached("SELECT coalesce(max(ended_at), '') FROM batches")?;
        Ok(query.query_row([], |row| row.get(0))?)
    }

    /// Waits until this number of batches has ended after that instant, every one of them with success.
    pub(crate) fn wait_for_ends(&self, after: &str, batches: u32) -> Result<()> {
        let mut ended = self.0.prepare("SELECT count(*) FROM batches WHERE ended_at > ?1")?;
        wait_until(|| Ok(ended.query_row(params![after], |row| row.get::<_, u32>(0))? >= batches))?;
        let failed: i64 = self.0.query_row(
            "SELECT count(*) FROM batches WHERE ended_at > ?1 AND status <> 'completed_successfully'",
            params![after],
            |row| row.get(0),
        )?;
        ensure!(failed == 0, "{failed} of {batches} batches did not end with success");
        Ok(())
    }

    /// The id of the newest record on the bus.
    pub(crate) fn log_end(&self) -> Result<i64> {
        let mut query = self.0.prepare_cached("SELECT coalesce(max(id), 0) FROM local_log")?;
        Ok(query.query_row([], |row| row.get(0))?)
    }

    /// Waits until a record of the topic stands on the bus after that id.
    pub(crate) fn wait_for_record(&self, topic: &str, after: i64) -> Result<()> {
        let mut found =
            self.0.prepare_cached("SELECT count(*) FROM local_log WHERE id > ?1 AND topic = ?2")?;
        wait_until(|| Ok(found.query_row(params![after, topic], |row| row.get::<_, i64>(0))? > 0))
    }

    /// How long the count of a batch's essays by state takes, in milliseconds: the mean of a hundred, none prepared
    /// anew.
    pub(crate) fn count_query_ms(&self, essays: u16) -> Result<f64> {
        const TIMES: u32 = 100;
        let batch: Vec<u8> = self.0.query_row(
            "SELECT batch_id FROM essays GROUP BY batch_id HAVING count(*) = ?1 LIMIT 1",
            params![essays],
            |row| row.get(0),
        )?;
        let mut query =
            self.0.prepare("SELECT state, count(*) FROM essays WHERE batch_id = ?1 GROUP BY state")?;
        let begun = Instant::now();
        for _ in 0..TIMES {
            let states = query.query_map(params![batch], |row| row.get::<_, i64>(1))?;
            ensure!(states.sum::<rusqlite::Result<i64>>()? > 0, "the batch has no essays");
        }
        Ok(begun.elapsed().as_secs_f64() * 1_000.0 / f64::from(TIMES))
    }
}

fn wait_until(mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !condition()? {
        ensure!(begun.elapsed() < DEADLINE, "nothing came of it in {} s", DEADLINE.as_secs());
        thread::sleep(POLL);
    }
    Ok(())
}
