//! Reads the health of a PostgreSQL server.

use std::time::Duration;

use crate::error::Error;
use crate::health::Health;
use crate::sqlx::{self, PgPool};

/// Version, settings, connections, oldest transaction and partitions ahead.
const ABOUT: &str = "SELECT current_setting('server_version'), current_setting('fsync') = 'off', \
    current_setting('synchronous_commit') = 'off', current_setting('full_page_writes') = 'off', \
    pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on', \
    current_setting('max_connections')::bigint, (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'), \
    (SELECT CAST(extract(epoch FROM max(clock_timestamp() - xact_start)) AS bigint) FROM pg_stat_activity \
     WHERE datname = current_database() AND backend_type = 'client backend'), \
    (SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relispartition \
     AND relname ~ '^outbox_sent_[0-9]{8}$' AND right(relname, 8) > to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'))";

/// Tables on which the role lacks a right.
const DENIED: &str = "SELECT c.relname::text FROM pg_class c \
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND (NOT c.relispartition OR c.relname = 'outbox_sent_default') \
    AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') \
    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')) ORDER BY c.relname";

type About = (String, bool, bool, bool, bool, i64, i64, Option<i64>, i64);

pub(super) async fn read(pool: &PgPool) -> Result<Health, Error> {
    let refused = |e| Error::postgres("read its health", e);
    let (version, no_fsync, async_commit, no_pages, read_only, allowed, open, oldest, ahead): About =
        sqlx::query_as(ABOUT).fetch_one(pool).await.map_err(refused)?;
    let denied: Vec<String> = sqlx::query_scalar(DENIED).fetch_all(pool).await.map_err(refused)?;
    // A statement of its own, so that the caller can bound the error of its clock comparison by the round trip.
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
