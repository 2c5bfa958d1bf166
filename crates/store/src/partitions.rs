//! PostgreSQL: a partition of `outbox_sent` for each day, made before its day and dropped whole when its time is over, which
//! costs the same for a million rows as for one. What no partition is there for goes into the DEFAULT one, and is deleted row
//! by row as everywhere else.
//!
//! Every step is a transaction of its own that waits for its locks a second at most: a relay that archives meanwhile waits no
//! longer than that, and what did not come about is done the next time.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use crate::error::Error;
use crate::sqlx::{self, AssertSqlSafe, Connection as _, PgConnection, PgPool};

/// Days after today for which there is a partition: so many may pass without anybody who makes one.
const AHEAD: u64 = 2;

/// Of several processes one does this at a time.
const LOCK: i64 = 0x0b05_0002;

/// What was done about the partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Partitions made.
    pub made: u32,
    /// Partitions dropped, with everything in them.
    pub dropped: u32,
    /// Whether our role may not do it. The DEFAULT partition takes what comes meanwhile.
    pub is_denied: bool,
}

struct Partition {
    day: NaiveDate,
    is_attached: bool,
}

/// Makes the partitions of today and the next days; drops those that hold nothing younger than `keep`, if one is given.
pub(crate) async fn keep_up(pool: &PgPool, keep: Option<Duration>) -> Result<Upkeep, Error> {
    let refused = |e| Error::postgres("look after its partitions", e);
    // A connection of its own: this is rare, and one of the pool's may have died meanwhile.
    let mut own = PgConnection::connect_with(&pool.connect_options()).await.map_err(refused)?;
    let connection = &mut own;
    let (now, present) = look(connection).await.map_err(refused)?;
    let today = now.date_naive();
    let mut upkeep = Upkeep::default();
    for ahead in 0..=AHEAD {
        let Some(day) = today.checked_add_days(Days::new(ahead)) else { continue };
        if present.iter().any(|partition| partition.day == day) {
            continue;
        }
        match step(connection, make(day)).await {
            Ok(done) => upkeep.made += u32::from(done),
            Err(error) if is_denied(&error) => return Ok(Upkeep { is_denied: true, ..upkeep }),
            // The DEFAULT partition has some of this day already, and keeps them.
            Err(error) if has_code(&error, "23514") => {}
            Err(error) => return Err(refused(error)),
        }
    }
    let keep = keep.and_then(|keep| TimeDelta::from_std(keep).ok());
    let Some(young) = keep.and_then(|keep| now.checked_sub_signed(keep)) else { return Ok(upkeep) };
    for partition in present.iter().filter(|partition| partition.day < young.date_naive()) {
        match drop_one(connection, partition).await {
            Ok(done) => upkeep.dropped += u32::from(done),
            Err(error) if is_denied(&error) => return Ok(Upkeep { is_denied: true, ..upkeep }),
            Err(error) => return Err(refused(error)),
        }
    }
    Ok(upkeep)
}

/// The database's clock, and the partitions by their names. One that a crash left detached is among them.
async fn look(connection: &mut PgConnection) -> sqlx::Result<(DateTime<Utc>, Vec<Partition>)> {
    let now = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *connection).await?;
    let tables: Vec<(String, bool)> = sqlx::query_as(
        "SELECT relname::text, relispartition FROM pg_class \
         WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname ~ '^outbox_sent_[0-9]{8}$'",
    )
    .fetch_all(connection)
    .await?;
    let day = |name: &str| NaiveDate::parse_from_str(name.strip_prefix("outbox_sent_")?, "%Y%m%d").ok();
    let known = tables
        .into_iter()
        .filter_map(|(name, is_attached)| Some(Partition { day: day(&name)?, is_attached }));
    Ok((now, known.collect()))
}

fn name(day: NaiveDate) -> String {
    format!("outbox_sent_{}", day.format("%Y%m%d"))
}

/// Attached and not made in its place, because that locks the whole table against everybody. The names and times are made of
/// numbers, so nothing needs quoting.
fn make(day: NaiveDate) -> String {
    let (name, next) = (name(day), day.succ_opt().unwrap_or(day));
    format!(
        "CREATE TABLE {name} (LIKE outbox_sent INCLUDING DEFAULTS INCLUDING CONSTRAINTS); \
         ALTER TABLE outbox_sent ATTACH PARTITION {name} FOR VALUES FROM ('{day} 00:00:00+00') TO ('{next} 00:00:00+00')"
    )
}

/// Detached first, so that the lock on the whole table is not held while the files go.
async fn drop_one(connection: &mut PgConnection, partition: &Partition) -> sqlx::Result<bool> {
    let name = name(partition.day);
    if partition.is_attached
        && !step(connection, format!("ALTER TABLE outbox_sent DETACH PARTITION {name}")).await?
    {
        return Ok(false);
    }
    step(connection, format!("DROP TABLE {name}")).await
}

/// Runs statements in one transaction; false when another process is at it.
async fn step(connection: &mut PgConnection, statements: String) -> sqlx::Result<bool> {
    let mut tx = connection.begin().await?;
    let (is_ours,): (bool,) =
        sqlx::query_as("SELECT pg_try_advisory_xact_lock($1)").bind(LOCK).fetch_one(&mut *tx).await?;
    if !is_ours {
        tx.rollback().await?;
        return Ok(false);
    }
    sqlx::raw_sql("SET LOCAL lock_timeout = '1s'").execute(&mut *tx).await?;
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *tx).await {
        // Said here and now: the next step needs the lock that this transaction holds.
        tx.rollback().await?;
        return Err(error);
    }
    tx.commit().await?;
    Ok(true)
}

fn is_denied(error: &sqlx::Error) -> bool {
    has_code(error, "42501")
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(sqlx::DatabaseError::code).is_some_and(|found| found == code)
}
