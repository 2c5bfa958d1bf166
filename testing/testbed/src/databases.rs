//! Fresh databases for a test: an SQLite file always, PostgreSQL if `BOS_TEST_DATABASE_URL` names a server (as under
//! `cargo xtask test`). Needs the feature `databases`, which links `store`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, where a panic is the failure of the test"
)]

use std::env;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use chrono::{DateTime, TimeZone as _, Utc};
use futures::FutureExt as _;
use sqlx_core::connection::Connection as _;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;
use store::Store;

/// The variable that names the PostgreSQL server. Its role must be allowed to create databases.
const SERVER: &str = "BOS_TEST_DATABASE_URL";

/// The clock of every SQLite store: 2026-01-05 12:00 UTC, at every call.
pub fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 5, 12, 0, 0).unwrap()
}

/// Runs a test on a new SQLite file.
pub async fn on_sqlite(test: impl AsyncFn(Store)) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&folder.path().join("bos.db"), Arc::new(noon)).unwrap();
    test(store.clone()).await;
    store.close().await;
}

/// Runs a test on a new, migrated database of the PostgreSQL server, with its URL, and drops the database; reports the test as
/// left out if there is no server.
pub async fn on_postgres(test: impl AsyncFn(Store, String)) {
    let Some(server) = server() else {
        let line = "store on PostgreSQL: set BOS_TEST_DATABASE_URL, or run `cargo xtask test`";
        return crate::left_out("store-postgres", line);
    };
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    let name = format!("bos_test_{:016x}", u64::from_be_bytes(random));
    let mut admin = PgConnection::connect(&server).await.unwrap();
    run(&mut admin, format!("CREATE DATABASE {name}")).await;

    let url = with_database(&server, &name);
    let store = Store::connect_postgres(&url, 16).await.unwrap();
    store.migrate_up().await.unwrap();
    let outcome = AssertUnwindSafe(test(store.clone(), url)).catch_unwind().await;
    store.close().await;
    run(&mut admin, format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a test on both databases, with the same expectations.
pub async fn on_each(test: impl AsyncFn(Store)) {
    on_sqlite(&test).await;
    on_postgres(async |store, _| test(store).await).await;
}

async fn run(admin: &mut PgConnection, text: String) {
    sqlx_core::query::query(AssertSqlSafe(text)).execute(admin).await.unwrap();
}

fn server() -> Option<String> {
    let url = env::var_os(SERVER)?;
    Some(url.into_string().expect("BOS_TEST_DATABASE_URL is UTF-8"))
}

/// The URL of another database of the same server.
fn with_database(server: &str, name: &str) -> String {
    let (address, options) =
        server.split_once('?').map_or((server, ""), |(address, options)| (address, options));
    let (scheme, rest) = address.split_once("://").expect("BOS_TEST_DATABASE_URL is a URL");
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    format!("{scheme}://{host}/{name}?{options}")
}
