//! Callers that are cancelled while their unit runs.

use std::pin::pin;
use std::sync::Arc;

use futures::future::{Either, select};
use sqlx_core::connection::Connection as _;
use sqlx_postgres::PgConnection;
use store::{Error, Lane, Store};

use crate::databases::{noon, on_postgres};

async fn set(store: &Store, key: String) -> Result<(), Error> {
    store
        .unit(Lane::Caller, move |tx| {
            let key = key.clone();
            Box::pin(async move { tx.set_meta(&key, "set").await })
        })
        .await
}

/// Starts units and cancels each caller after a number of turns of the scheduler, one more each time; returns how many were
/// cancelled.
async fn cancel_callers(store: &Store, units: usize) -> usize {
    let mut cancelled = 0;
    for turns in 0..units {
        let turns_taken = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        match select(pin!(set(store, format!("cancelled-{turns}"))), pin!(turns_taken)).await {
            Either::Left((answer, _)) => answer.unwrap(),
            Either::Right(((), _)) => cancelled += 1,
        }
    }
    cancelled
}

#[tokio::test]
async fn on_sqlite_a_cancelled_caller_does_not_roll_back_its_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bos.db");
    let store = Store::open_sqlite(&path, Arc::new(noon)).unwrap();
    assert!(cancel_callers(&store, 50).await > 0, "no caller was cancelled, so nothing was tested");
    store.close().await;
    let conn = rusqlite::Connection::open(path).unwrap();
    let kept: i64 = conn
        .query_row("SELECT count(*) FROM meta WHERE key LIKE 'cancelled-%'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 50);
}

/// sqlx 0.9.0 returns a connection to the pool inside an open transaction if a `begin` is cancelled; later writes on it would
/// be acknowledged but never committed. Units run in tasks of their own, so that a cancelled caller does not cancel its unit.
#[tokio::test]
async fn on_postgres_a_cancelled_caller_harms_neither_its_unit_nor_the_next_one() {
    on_postgres(async |store, url| {
        assert!(cancel_callers(&store, 200).await > 0, "no caller was cancelled, so nothing was tested");
        let mut witness = PgConnection::connect(&url).await.unwrap();
        for number in 0..40 {
            let key = format!("later-{number}");
            set(&store, key.clone()).await.unwrap();
            let seen: i64 = sqlx_core::query_scalar::query_scalar("SELECT count(*) FROM meta WHERE key = $1")
                .bind(key)
                .fetch_one(&mut witness)
                .await
                .unwrap();
            assert_eq!(seen, 1);
        }
        store.close().await;
        let kept: i64 =
            sqlx_core::query_scalar::query_scalar("SELECT count(*) FROM meta WHERE key LIKE 'cancelled-%'")
                .fetch_one(&mut witness)
                .await
                .unwrap();
        assert_eq!(kept, 200);
    })
    .await;
}

#[tokio::test]
async fn a_closed_store_takes_no_unit() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&folder.path().join("bos.db"), Arc::new(noon)).unwrap();
    store.close().await;
    let refused = set(&store, "late".to_owned()).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })));
}
