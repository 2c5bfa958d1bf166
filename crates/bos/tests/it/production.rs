//! The service on a real PostgreSQL and a real Kafka instead of the embedded parts.

mod callers;
mod caps;
mod clocks;
mod database;
mod documents;
mod encoding;
mod encrypted;
mod full_broker;
mod full_log;
mod lag;
mod large;
mod migrating;
mod missing_right;
mod operators;
mod promotion;
mod refused_login;
mod restore;
mod rights;
mod road;
mod server_clock;
mod standby;
mod starting;
mod topics;
#[cfg(feature = "otlp")]
mod traces;
#[cfg(target_os = "linux")]
mod wrong_clock;

use std::sync::Once;

pub(crate) use road::ONE_AT_A_TIME;
use store::Store;
use testbed::left_out;

/// Ensures once that an interrupted test run ends the servers that it has started.
static WATCHED: Once = Once::new();

/// Runs a slow operation on a test's own servers on a blocking thread.
async fn apart<T: Send + 'static>(
    start: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    WATCHED.call_once(|| testbed::process::watch_signals().unwrap());
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// Starts a test's own servers. If they cannot be started, or need a small disk and there is none, reports `what` as left out.
async fn started_or_left_out<T: Send + 'static>(
    name: &str,
    what: &str,
    start: impl FnOnce() -> anyhow::Result<Option<T>> + Send + 'static,
) -> Option<T> {
    let why = match apart(start).await {
        Ok(Some(servers)) => return Some(servers),
        Ok(None) => "only root may mount a small one".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    left_out(name, &format!("{what}: {why}"));
    None
}

/// Creates the tables of BOS in a database.
async fn migrated(url: &str) {
    let store = Store::connect_postgres(url, 4).await.unwrap();
    store.migrate_up().await.unwrap();
    store.close().await;
}

/// The Kafka of this test run; without one, reports the test as left out.
pub(crate) fn kafka() -> Option<String> {
    let servers = std::env::var_os("BOS_TEST_KAFKA").and_then(|servers| servers.into_string().ok());
    if servers.is_none() {
        left_out("bos-kafka", "the road over Kafka and PostgreSQL: run `cargo xtask test`");
    }
    servers
}
