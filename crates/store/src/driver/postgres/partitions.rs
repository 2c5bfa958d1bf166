//! Daily partitions of `outbox_sent`. They are created ahead of their day and dropped whole when they expire, which costs the
//! same for any number of rows. Rows without a partition go into the DEFAULT one and are deleted row by row.
//!
//! Every step is a transaction that waits at most 1 s for its locks, so a relay that archives meanwhile is delayed by no more
//! than that. Failed steps are repeated at the next run.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use crate::error::Error;
use crate::sqlx::{self, AssertSqlSafe, Connection as _, PgConnection, PgPool};

/// Days after today that have a partition: maintenance may pause for this long.
const AHEAD: u64 = 2;

/// The advisory lock that keeps processes from doing this at the same time.
const LOCK: i64 = 0x0b05_0002;

/// The result of one run of partition maintenance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionMaintenance {
    /// Number of partitions created.
    pub created: u32,
    /// Number of partitions dropped, with their rows.
    pub dropped: u32,
    /// Whether the database role lacks the right. Rows then go into the DEFAULT partition.
    pub is_denied: bool,
}

struct Partition {
    day: NaiveDate,
    is_attached: bool,
}

/// Creates the partitions of today and the next [`AHEAD`] days, and drops those whose rows are all older than `keep`, if given.
pub(crate) async fn maintain(pool: &PgPool, keep: Option<Duration>) -> Result<PartitionMaintenance, Error> {
    let refused = |e| Error::postgres("maintain its partitions", e);
    // A new connection: this runs rarely, and a pooled one may have died since.
    let mut own = PgConnection::connect_with(&pool.connect_options()).await.map_err(refused)?;
    let connection = &mut own;
    let (now, present) = inspect(connection).await.map_err(refused)?;
    let today = now.date_naive();
    let mut done = PartitionMaintenance::default();
    for ahead in 0..=AHEAD {
        let Some(day) = today.checked_add_days(Days::new(ahead)) else { continue };
        if present.iter().any(|partition| partition.day == day) {
            continue;
        }
        match step(connection, create(day)).await {
            Ok(ran) => done.created += u32::from(ran),
            Err(error) if is_denied(&error) => return Ok(PartitionMaintenance { is_denied: true, ..done }),
            // check_violation: the DEFAULT partition already has rows of this day and keeps them.
            Err(error) if has_code(&error, "23514") => {}
            Err(error) => return Err(refused(error)),
        }
    }
    let keep = keep.and_then(|keep| TimeDelta::from_std(keep).ok());
    let Some(young) = keep.and_then(|keep| now.checked_sub_signed(keep)) else { return Ok(done) };
    for partition in present.iter().filter(|partition| partition.day < young.date_naive()) {
        match drop_one(connection, partition).await {
            Ok(ran) => done.dropped += u32::from(ran),
            Err(error) if is_denied(&error) => return Ok(PartitionMaintenance { is_denied: true, ..done }),
            Err(error) => return Err(refused(error)),
        }
    }
    Ok(done)
}

/// The server's clock, and the partitions by their names, including those that a crash left detached.
async fn inspect(connection: &mut PgConnection) -> sqlx::Result<(DateTime<Utc>, Vec<Partition>)> {
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

/// The statements that create a table and attach it. CREATE … PARTITION OF would lock the whole parent table exclusively. The
/// names and times consist of digits, so nothing needs quoting.
fn create(day: NaiveDate) -> String {
    let (name, next) = (name(day), day.succ_opt().unwrap_or(day));
    format!(
        "CREATE TABLE {name} (LIKE outbox_sent INCLUDING DEFAULTS INCLUDING CONSTRAINTS); \
         ALTER TABLE outbox_sent ATTACH PARTITION {name} FOR VALUES FROM ('{day} 00:00:00+00') TO ('{next} 00:00:00+00')"
    )
}

/// Detaches a partition before it is dropped, so that the parent table is not locked while the files are deleted.
async fn drop_one(connection: &mut PgConnection, partition: &Partition) -> sqlx::Result<bool> {
    let name = name(partition.day);
    if partition.is_attached
        && !step(connection, format!("ALTER TABLE outbox_sent DETACH PARTITION {name}")).await?
    {
        return Ok(false);
    }
    step(connection, format!("DROP TABLE {name}")).await
}

/// Runs statements in one transaction; returns false if another process holds the advisory lock.
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
        // Rolled back here, because the next step needs the lock that this transaction holds.
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
