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

/// Starts units and drops each one's caller after some turns of the scheduler, a few more each time.
async fn desert(store: &Store, units: usize) -> usize {
    let mut deserted = 0;
    for turns in 0..units {
        let patience = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        match select(pin!(set(store, format!("deserted-{turns}"))), pin!(patience)).await {
            Either::Left((answer, _)) => answer.unwrap(),
            Either::Right(((), _)) => deserted += 1,
        }
    }
    deserted
}

#[tokio::test]
async fn on_sqlite_a_caller_that_goes_away_does_not_undo_its_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bos.db");
    let store = Store::open_sqlite(&path, Arc::new(noon)).unwrap();
    assert!(desert(&store, 50).await > 0, "nobody went away, so nothing was tested");
    store.close().await;
    let conn = rusqlite::Connection::open(path).unwrap();
    let kept: i64 = conn
        .query_row("SELECT count(*) FROM meta WHERE key LIKE 'deserted-%'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 50);
}

/// sqlx 0.9.0 hands a connection back inside an open transaction when a `begin` is cancelled; what is written on it later is
/// acknowledged and seen by nobody. Units run in tasks of their own so that no caller can cancel one.
#[tokio::test]
async fn on_postgres_a_caller_that_goes_away_harms_neither_its_unit_nor_the_next_one() {
    on_postgres(async |store, url| {
        assert!(desert(&store, 200).await > 0, "nobody went away, so nothing was tested");
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
            sqlx_core::query_scalar::query_scalar("SELECT count(*) FROM meta WHERE key LIKE 'deserted-%'")
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
