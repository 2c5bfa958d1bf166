//! How a database is, for whoever looks after it. What keeps a service from starting is only told here.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::error::Error;
use crate::sqlx::{self, PgPool};

/// How a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What it is, with its version.
    pub server: String,
    /// Settings with which it may lose what it acknowledged.
    pub unsafe_settings: Vec<&'static str>,
    /// Whether it takes no writes: a standby, or one that is told to be read only.
    pub read_only: bool,
    /// Tables on which our role lacks a right that the service needs.
    pub denied: Vec<String>,
    /// Its clock.
    pub now: DateTime<Utc>,
    /// Connections open, and how many it allows.
    pub connections: Option<(i64, i64)>,
    /// How long its oldest transaction has been open. While one is, nothing that was deleted since can be cleaned up.
    pub oldest_transaction: Option<Duration>,
    /// Days after today for which the archive of sent messages has its partition, where it has partitions.
    pub days_ahead: Option<i64>,
}

/// An embedded database is opened with what it needs, or not at all.
pub(crate) fn sqlite(now: DateTime<Utc>) -> Health {
    Health {
        server: format!("SQLite {}", rusqlite::version()),
        unsafe_settings: Vec::new(),
        read_only: false,
        denied: Vec::new(),
        now,
        connections: None,
        oldest_transaction: None,
        days_ahead: None,
    }
}

const ABOUT: &str = "SELECT current_setting('server_version'), current_setting('fsync') = 'off', \
    current_setting('synchronous_commit') = 'off', current_setting('full_page_writes') = 'off', \
    pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on', \
    current_setting('max_connections')::bigint, (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'), \
    (SELECT CAST(extract(epoch FROM max(clock_timestamp() - xact_start)) AS bigint) FROM pg_stat_activity \
     WHERE datname = current_database() AND backend_type = 'client backend'), \
    (SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relispartition \
     AND relname ~ '^outbox_sent_[0-9]{8}$' AND right(relname, 8) > to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'))";

const DENIED: &str = "SELECT c.relname::text FROM pg_class c \
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND (NOT c.relispartition OR c.relname = 'outbox_sent_default') \
    AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') \
    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')) ORDER BY c.relname";

type About = (String, bool, bool, bool, bool, i64, i64, Option<i64>, i64);

pub(crate) async fn postgres(pool: &PgPool) -> Result<Health, Error> {
    let refused = |e| Error::postgres("look at itself", e);
    let (version, no_fsync, async_commit, no_pages, read_only, allowed, open, oldest, ahead): About =
        sqlx::query_as(ABOUT).fetch_one(pool).await.map_err(refused)?;
    let denied: Vec<String> = sqlx::query_scalar(DENIED).fetch_all(pool).await.map_err(refused)?;
    // By itself, so that the caller can say how long the answer took.
    let now = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool).await.map_err(refused)?;
    let settings =
        [("fsync", no_fsync), ("synchronous_commit", async_commit), ("full_page_writes", no_pages)];
    Ok(Health {
        server: format!("PostgreSQL {version}"),
        unsafe_settings: settings.into_iter().filter(|(_, off)| *off).map(|(name, _)| name).collect(),
        read_only,
        denied,
        now,
        connections: Some((open, allowed)),
        days_ahead: Some(ahead),
        oldest_transaction: oldest.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0))),
    })
}
