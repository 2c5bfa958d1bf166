//! Statements about timers.

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{BatchId, Timer, TimerKind};
use store::{DueTimer, Error, FiredBy, Lane, SetTimer, Store};

use super::{
    Analyzed, BURST, PLANNED, SENT, TURN, alone_and_beside_another_database, assert_from_the_mark,
    beside_another_database, blocks_of_looks, without_vacuum,
};
use crate::databases::noon;
use crate::messages::mark;
use crate::samples::id;
use crate::unit;

/// Units that set timers and clear them, and the batches of each.
const UNITS: u64 = 300;
const BATCHES: u64 = 10;

/// The timer that the test sets for each batch.
const TIMER: Timer = Timer { kind: TimerKind::Phase, run: 1, phase: None, attempt: 1 };

fn timers(batches: Range<u64>) -> Vec<SetTimer> {
    let due_at = noon() + Duration::from_hours(10_000);
    // Ids are random, and rows that follow each other by id lie in different blocks; an odd factor spreads these numbers.
    let id = |batch: u64| id(batch.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    batches.map(|batch| SetTimer { shard: 0, batch: id(batch), timer: TIMER, due_at }).collect()
}

fn keys(timers: &[SetTimer]) -> Vec<(i64, BatchId, TimerKind)> {
    timers.iter().map(|set| (set.shard, set.batch, set.timer.kind)).collect()
}

#[tokio::test]
async fn a_transaction_elsewhere_makes_no_look_for_due_timers_from_the_mark_slower() {
    beside_another_database(async |store, url| {
        without_vacuum(&url, "timers").await;
        let due_at = |n: u64| noon() + Duration::from_secs(n);
        let set: Vec<_> = (0_u64..).zip(timers(0..SENT.into())).collect();
        let set: Vec<_> = set.into_iter().map(|(n, set)| SetTimer { due_at: due_at(n), ..set }).collect();
        for timers in set.chunks(TURN as usize) {
            let (timers, keys) = (timers.to_vec(), keys(timers));
            let set_and_clear = store.unit(Lane::Caller, move |tx| {
                let (timers, keys) = (timers.clone(), keys.clone());
                Box::pin(async move {
                    tx.set_timers(&timers).await?;
                    tx.clear_timers(&keys).await
                })
            });
            set_and_clear.await.unwrap();
        }
        let last = due_at(SENT.into());
        unit!(store, |tx| {
            let next =
                timers(0..1).into_iter().map(|set| SetTimer { due_at: last, ..set }).collect::<Vec<_>>();
            tx.set_timers(&next).await?;
        });
        store.close().await;

        let look = async |store: &Store, from: DateTime<Utc>| {
            let found = store.read(move |tx| {
                Box::pin(async move { tx.due_timers(&[mark(0, from)], last, FiredBy::Any, TURN).await })
            });
            let found: Result<_, Error> = found.await;
            assert_eq!(found.unwrap().len(), 1);
        };
        let from_the_mark = blocks_of_looks(&url, "timers", async |store| look(store, last).await).await;
        let start = DateTime::UNIX_EPOCH;
        let from_the_start = blocks_of_looks(&url, "timers", async |store| look(store, start).await).await;
        assert_from_the_mark(from_the_mark, from_the_start);
    })
    .await;
}

#[tokio::test]
async fn statistics_of_few_timers_make_no_firing_of_many_slower() {
    alone_and_beside_another_database(async |store, url| {
        unit!(store, |tx| { tx.set_timers(&timers(0..1)).await? });
        let analyzed = Analyzed::new(store, &url, "timers").await;
        let store = &analyzed.store;
        unit!(store, |tx| {
            let absent = DueTimer { shard: 0, batch: id(1), timer: TIMER, due_at: noon() };
            for _ in 0..PLANNED {
                tx.due_timers(&[mark(0, noon())], noon(), FiredBy::Any, TURN).await?;
                tx.clear_fired(&absent).await?;
            }
            let set = timers(1..u64::from(BURST) + 1);
            tx.set_timers(&set).await?;
            let (mut from, end) = (noon(), set[0].due_at);
            for _ in 0..BURST / TURN {
                let due = tx.due_timers(&[mark(0, from)], end, FiredBy::Any, TURN).await?;
                assert_eq!(due.len(), TURN as usize);
                for due in &due {
                    assert!(tx.clear_fired(due).await?);
                }
                from = due[0].due_at;
            }
        });
        let read = analyzed.blocks_read().await;
        assert!(read < i64::from(BURST) * 40, "{read} blocks for {BURST} timers");
    })
    .await;
}

#[tokio::test]
async fn statistics_of_few_timers_make_no_clearing_of_many_slower() {
    alone_and_beside_another_database(async |store, url| {
        unit!(store, |tx| { tx.set_timers(&timers(0..1)).await? });
        let analyzed = Analyzed::new(store, &url, "timers").await;
        let store = &analyzed.store;
        for _ in 0..PLANNED {
            unit!(store, |tx| { tx.clear_timers(&keys(&timers(1..2))).await? });
        }
        for unit in 0..UNITS {
            let set_and_clear = store.unit(Lane::Caller, move |tx| {
                Box::pin(async move {
                    let timers = timers(unit * BATCHES + 1..(unit + 1) * BATCHES + 1);
                    tx.set_timers(&timers).await?;
                    tx.clear_timers(&keys(&timers)).await
                })
            });
            set_and_clear.await.unwrap();
        }
        let read = analyzed.blocks_read().await;
        assert!(read < i64::try_from(UNITS * BATCHES * 40).unwrap(), "{read} blocks for {UNITS} units");
    })
    .await;
}
