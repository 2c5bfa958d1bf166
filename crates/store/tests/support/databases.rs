//! Fresh databases for a test: SQLite always, PostgreSQL where `BOS_TEST_DATABASE_URL` names a server.

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use chrono::{DateTime, TimeZone as _, Utc};
use futures::FutureExt as _;
use sqlx_core::connection::Connection as _;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;
use store::Store;

/// The time of every unit on SQLite.
pub(crate) fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 5, 12, 0, 0).unwrap()
}

/// Runs a test on a new SQLite file.
pub(crate) async fn on_sqlite(test: impl AsyncFn(Store)) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&folder.path().join("bos.db"), Arc::new(noon)).unwrap();
    test(store.clone()).await;
    store.close().await;
}

/// Runs a test on a new database of the PostgreSQL server, or says that it was left out.
pub(crate) async fn on_postgres(test: impl AsyncFn(Store, String)) {
    let Some(server) = server() else { return left_out() };
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

/// Runs a test on both, with the same expectations.
pub(crate) async fn on_each(test: impl AsyncFn(Store)) {
    on_sqlite(&test).await;
    on_postgres(async |store, _| test(store).await).await;
}

async fn run(admin: &mut PgConnection, text: String) {
    sqlx_core::query::query(AssertSqlSafe(text)).execute(admin).await.unwrap();
}

fn server() -> Option<String> {
    let url = std::env::var_os("BOS_TEST_DATABASE_URL")?;
    Some(url.into_string().expect("BOS_TEST_DATABASE_URL is UTF-8"))
}

/// The address of another database of the same server.
fn with_database(server: &str, name: &str) -> String {
    let (address, options) =
        server.split_once('?').map_or((server, ""), |(address, options)| (address, options));
    let (scheme, rest) = address.split_once("://").expect("BOS_TEST_DATABASE_URL is a URL");
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    format!("{scheme}://{host}/{name}?{options}")
}

fn left_out() {
    let line = "store on PostgreSQL: set BOS_TEST_DATABASE_URL, or run `cargo xtask test`";
    // Not `eprintln!`, which the test harness keeps to itself while tests pass.
    std::io::stderr().write_all(format!("left out: {line}\n").as_bytes()).unwrap();
    if let Some(folder) = std::env::var_os("BOS_TEST_LEFT_OUT") {
        std::fs::write(std::path::PathBuf::from(folder).join("store-postgres"), line).unwrap();
    }
}
