//! Units that are retried after a conflict.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use store::{Error, Lane, Store};

use crate::databases::{on_postgres, on_sqlite};

/// Runs a unit that has a conflict the first `failures` times; returns its result and how often it ran.
async fn with_conflicts(store: &Store, failures: u32) -> (Result<(), Error>, u32) {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let outcome = store.unit(Lane::Caller, move |tx| {
        let run = counted.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            tx.set_meta(&format!("run-{run}"), "set").await?;
            if run < failures {
                let source =
                    Some(Arc::new(std::io::Error::other("could not serialize access")) as store::Cause);
                return Err(Error::Conflict { doing: "test", source });
            }
            Ok(())
        })
    });
    (outcome.await, runs.load(Ordering::Relaxed))
}

#[tokio::test]
async fn on_postgres_a_unit_with_a_conflict_is_retried_from_the_start() {
    on_postgres(async |store, _| {
        let (outcome, runs) = with_conflicts(&store, 2).await;
        outcome.unwrap();
        assert_eq!(runs, 3);
        let first = store.read(|tx| Box::pin(async move { tx.meta("run-0").await })).await;
        assert_eq!(first.map_err(|error: Error| error).unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn on_postgres_the_retries_of_a_unit_are_limited() {
    on_postgres(async |store, _| {
        let (outcome, runs) = with_conflicts(&store, 100).await;
        assert!(matches!(outcome, Err(Error::Conflict { .. })));
        assert_eq!(runs, 4);
    })
    .await;
}

/// A retry would wait as long again.
#[tokio::test]
async fn on_postgres_a_unit_is_not_retried_after_a_lock_time_out() {
    on_postgres(async |store, _| {
        let (locked, held) = tokio::sync::oneshot::channel();
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let channels = Arc::new(std::sync::Mutex::new(Some((locked, released))));
        let holder = store.unit::<_, Error, _>(Lane::Task, move |tx| {
            let (locked, released) = channels.lock().unwrap().take().unwrap();
            Box::pin(async move {
                tx.set_meta("held", "by the first").await?;
                locked.send(()).unwrap();
                released.await.unwrap();
                Ok(())
            })
        });
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let waiter = async {
            held.await.unwrap();
            let outcome = store.unit::<_, Error, _>(Lane::Caller, move |tx| {
                counted.fetch_add(1, Ordering::Relaxed);
                Box::pin(async move { tx.set_meta("held", "by the second").await })
            });
            let outcome = outcome.await;
            release.send(()).unwrap();
            outcome
        };
        let (first, second) = futures::future::join(holder, waiter).await;
        first.unwrap();
        assert!(matches!(second, Err(Error::Conflict { .. })), "{second:?}");
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    })
    .await;
}

#[tokio::test]
async fn on_sqlite_units_run_one_after_the_other_and_once() {
    on_sqlite(async |store| {
        let (outcome, runs) = with_conflicts(&store, 1).await;
        assert!(matches!(outcome, Err(Error::Conflict { .. })));
        assert_eq!(runs, 1);
    })
    .await;
}

#[tokio::test]
async fn on_postgres_units_that_lock_the_same_rows_in_opposite_order_both_commit() {
    on_postgres(async |store, _| {
        let both_hold_one = Arc::new(tokio::sync::Barrier::new(2));
        let runs = Arc::new(AtomicU32::new(0));
        let put = |first: &'static str, second: &'static str, value: &'static str| {
            let (both_hold_one, runs) = (Arc::clone(&both_hold_one), Arc::clone(&runs));
            store.unit::<_, Error, _>(Lane::Caller, move |tx| {
                let both_hold_one = Arc::clone(&both_hold_one);
                let in_first_run = runs.fetch_add(1, Ordering::Relaxed) < 2;
                Box::pin(async move {
                    tx.set_meta(first, value).await?;
                    if in_first_run {
                        both_hold_one.wait().await;
                    }
                    tx.set_meta(second, value).await
                })
            })
        };
        let (one, two) = futures::future::join(put("a", "b", "one"), put("b", "a", "two")).await;
        one.and(two).unwrap();
        // PostgreSQL may abort both, if both check for a deadlock at the same moment.
        let runs = runs.load(Ordering::Relaxed);
        assert!((3..=4).contains(&runs), "one of them was aborted and retried: {runs} runs");
        let read = store.read(|tx| Box::pin(async move { Ok((tx.meta("a").await?, tx.meta("b").await?)) }));
        let (a, b) = read.await.map_err(|error: Error| error).unwrap();
        assert_eq!(a, b, "the last to commit wrote both");
    })
    .await;
}
