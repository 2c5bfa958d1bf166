//! Reads the health of a PostgreSQL server.

use std::time::Duration;

use crate::error::Error;
use crate::health::Health;
use crate::sqlx::{self, PgConnection};

/// Version, encoding, settings, connections, oldest transaction and partitions ahead.
const ABOUT: &str = "SELECT current_setting('server_version'), current_setting('server_encoding'), current_setting('fsync') = 'off', \
    current_setting('synchronous_commit') = 'off', current_setting('full_page_writes') = 'off', \
    pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on', \
    current_setting('max_connections')::bigint, (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'), \
    (SELECT CAST(extract(epoch FROM max(clock_timestamp() - xact_start)) AS bigint) FROM pg_stat_activity \
     WHERE datname = current_database() AND backend_type = 'client backend'), \
    (SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relispartition \
     AND relname ~ '^outbox_sent_[0-9]{8}$' AND right(relname, 8) > to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'))";

/// Tables on which the role lacks a right, in the schema that has the tables. `current_schema()` leaves out schemas that the role
/// may not use, so a schema without this right counts as a table.
const DENIED: &str = "SELECT 'the schema ' || n.nspname FROM pg_namespace n \
    WHERE NOT has_schema_privilege(n.oid, 'USAGE') AND EXISTS (SELECT FROM pg_class m WHERE m.relnamespace = n.oid AND m.relname = 'meta') \
    AND EXISTS (SELECT FROM pg_class m WHERE m.relnamespace = n.oid AND m.relname = 'outbox_sent') \
    UNION ALL SELECT c.relname::text FROM pg_class c \
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND (NOT c.relispartition OR c.relname = 'outbox_sent_default') \
    AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') \
    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')) ORDER BY 1";

type About = (String, String, bool, bool, bool, bool, i64, i64, Option<i64>, i64);

pub(super) async fn read(connection: &mut PgConnection) -> Result<Health, Error> {
    let refused = |e| Error::postgres("read its health", e);
    let (version, encoding, no_fsync, async_commit, no_pages, read_only, allowed, open, oldest, ahead): About =
        sqlx::query_as(ABOUT).fetch_one(&mut *connection).await.map_err(refused)?;
    let denied: Vec<String> =
        sqlx::query_scalar(DENIED).fetch_all(&mut *connection).await.map_err(refused)?;
    // A statement of its own, so that the caller can bound the error of its clock comparison by the round trip.
    let now =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *connection).await.map_err(refused)?;
    let settings =
        [("fsync", no_fsync), ("synchronous_commit", async_commit), ("full_page_writes", no_pages)];
    Ok(Health {
        server: format!("PostgreSQL {version}"),
        encoding,
        unsafe_settings: settings.into_iter().filter(|(_, off)| *off).map(|(name, _)| name).collect(),
        read_only,
        denied,
        now,
        connections: Some((open, allowed)),
        days_ahead: Some(ahead),
        oldest_transaction: oldest.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0))),
    })
}
