//! Both schemas have the same tables and columns, by a fixed mapping of types; migrations, health and inspection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx_core::connection::Connection as _;
use sqlx_postgres::PgConnection;
use store::Store;

use crate::databases::{noon, on_each, on_postgres};

/// (table, column) → type and whether it may be null.
type Catalog = BTreeMap<(String, String), (String, bool)>;

/// The tables of the embedded log, which only SQLite has.
const SQLITE_ONLY: [&str; 2] = ["local_log", "local_log_positions"];

fn sqlite() -> Catalog {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bos.db");
    drop(Store::open_sqlite(&path, Arc::new(noon)).unwrap());
    let conn = rusqlite::Connection::open(path).unwrap();
    let mut statement = conn
        .prepare(
            "SELECT t.name, c.name, c.type, c.\"notnull\" = 0 AND c.pk = 0 FROM sqlite_master t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
        )
        .unwrap();
    let rows = statement.query_map([], |row| {
        Ok(((row.get::<_, String>(0)?, row.get(1)?), (row.get::<_, String>(2)?, row.get(3)?)))
    });
    rows.unwrap()
        .map(Result::unwrap)
        .filter(|((table, _), _)| !SQLITE_ONLY.contains(&table.as_str()))
        .collect()
}

async fn postgres(url: &str) -> Catalog {
    let mut conn = PgConnection::connect(url).await.unwrap();
    let rows: Vec<(String, String, String, bool)> = sqlx_core::query_as::query_as(
        "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES' FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name NOT LIKE 'outbox\\_sent\\_%'",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    rows.into_iter().map(|(table, column, kind, null)| ((table, column), (kind, null))).collect()
}

/// The SQLite type of a PostgreSQL type.
fn mapped(postgres: &str) -> &str {
    match postgres {
        "bigint" => "INTEGER",
        "text" | "jsonb" | "timestamp with time zone" => "TEXT",
        "uuid" | "bytea" => "BLOB",
        // A type without a mapping, which equals no SQLite type.
        other => other,
    }
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    on_postgres(async |_, url| {
        let translated: Catalog = postgres(&url)
            .await
            .into_iter()
            .map(|(place, (kind, null))| (place, (mapped(&kind).to_owned(), null)))
            .collect();
        assert_eq!(sqlite(), translated);
    })
    .await;
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_the_schema_version_is_stored() {
    on_postgres(async |store, _| {
        store.migrate_up().await.unwrap();
        assert_eq!(store.schema().await.unwrap(), Some((store::SCHEMA, store::MIN_READER)));
    })
    .await;
}

#[tokio::test]
async fn a_healthy_database_reports_no_problem() {
    on_each(async |store| {
        let health = store.health().await.unwrap();
        assert_eq!((health.unsafe_settings, health.read_only, health.denied), (vec![], false, vec![]));
        assert!(health.oldest_transaction.is_none_or(|age| age < Duration::from_mins(10)));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_read_only_postgres_can_be_inspected() {
    on_postgres(async |_, url| {
        let store =
            Store::inspect_postgres(&format!("{url}&options[default_transaction_read_only]=on")).await;
        let store = store.unwrap();
        assert!(store.health().await.unwrap().read_only);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn inspecting_a_file_does_not_migrate_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bos.db");
    let inspect = || Store::inspect_sqlite(&path, Arc::new(noon));
    let refused = inspect().unwrap_err();
    assert!(refused.to_string().contains("no tables yet"), "{refused}");
    drop(Store::open_sqlite(&path, Arc::new(noon)).unwrap());
    inspect().unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute("UPDATE meta SET value = '0' WHERE key = 'schema'", [])
        .unwrap();
    let refused = inspect().unwrap_err();
    assert!(refused.to_string().contains("schema 0"), "{refused}");
}
