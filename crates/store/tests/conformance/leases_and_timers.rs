//! Timers, leases, the timeline, and facts about the installation.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{BatchId, Phase, Timer, TimerKind};
use store::{Error, FiredBy, Lease, SetTimer, ShardDistribution, TimelineRow, Tx};
use uuid::Uuid;

use crate::databases::{noon, on_each, on_postgres, on_sqlite};
use crate::messages::mark;
use crate::samples::{id, insert, line, owner};
use crate::unit;

const MINUTE: Duration = Duration::from_mins(1);

async fn set(
    tx: &mut Tx,
    shard: i64,
    batch: BatchId,
    timer: &Timer,
    due_at: DateTime<Utc>,
) -> Result<(), Error> {
    tx.set_timers(&[SetTimer { shard, batch, timer: *timer, due_at }]).await
}

/// When the next timer of the first shard is due.
async fn next_timer(tx: &mut Tx) -> Option<DateTime<Utc>> {
    let due = tx
        .due_timers(&[mark(0, DateTime::UNIX_EPOCH)], noon() + 1_000 * MINUTE, FiredBy::Any, 10)
        .await
        .unwrap();
    due.first().map(|timer| timer.due_at)
}

#[tokio::test]
async fn a_timer_is_replaced_by_one_of_its_kind_and_is_due_in_order() {
    on_each(async |store| {
        unit!(store, |tx| {
            let start = Timer { kind: TimerKind::Start, run: 1, phase: Some(Phase::Nlp), attempt: 2 };
            let registration = Timer { kind: TimerKind::Registration, run: 1, phase: None, attempt: 1 };
            set(tx, 0, id(1), &start, noon() + MINUTE).await?;
            set(tx, 0, id(1), &start, noon() + 3 * MINUTE).await?;
            set(tx, 0, id(2), &registration, noon() + 2 * MINUTE).await?;
            set(tx, 1, id(3), &registration, noon()).await?;
            assert_eq!(next_timer(tx).await, Some(noon() + 2 * MINUTE));
            assert!(
                tx.due_timers(&[mark(0, DateTime::UNIX_EPOCH)], noon() + MINUTE, FiredBy::Any, 10)
                    .await?
                    .is_empty()
            );
            let due = tx
                .due_timers(&[mark(0, DateTime::UNIX_EPOCH)], noon() + 3 * MINUTE, FiredBy::Any, 10)
                .await?;
            let found: Vec<_> = due.iter().map(|row| (row.batch, row.timer)).collect();
            assert_eq!(found, [(id(2), registration), (id(1), start)]);
            assert_eq!(
                tx.due_timers(&[mark(0, DateTime::UNIX_EPOCH)], noon() + 3 * MINUTE, FiredBy::Any, 1)
                    .await?
                    .len(),
                1
            );
            let from_the_second = [mark(0, noon() + 3 * MINUTE)];
            let due = tx.due_timers(&from_the_second, noon() + 3 * MINUTE, FiredBy::Any, 10).await?;
            assert_eq!(due.iter().map(|row| row.batch).collect::<Vec<_>>(), [id(1)]);
            let long_ago = noon() - 10_000 * MINUTE * 60;
            set(tx, 1, id(4), &registration, long_ago).await?;
            let overdue = tx.overdue_timers().await?;
            // PostgreSQL's clock may have passed the others too.
            assert!(overdue.rows >= 1);
            assert_eq!(overdue.oldest_at, Some(long_ago));
        });
    })
    .await;
}

#[tokio::test]
async fn each_due_timer_is_read_by_the_task_that_fires_it() {
    on_each(async |store| {
        unit!(store, |tx| {
            for kind in TimerKind::ALL {
                let timer = Timer { kind: *kind, run: 1, phase: Some(Phase::Nlp), attempt: 1 };
                set(tx, 0, id(1), &timer, noon()).await?;
            }
            for by in [FiredBy::Any, FiredBy::Timers, FiredBy::Inquiry] {
                let due = tx.due_timers(&[mark(0, DateTime::UNIX_EPOCH)], noon(), by, 10).await?;
                let fires = |kind: &&TimerKind| match by {
                    FiredBy::Any => true,
                    FiredBy::Timers => !kind.asks_lifecycle(),
                    FiredBy::Inquiry => kind.asks_lifecycle(),
                };
                let mut found: Vec<_> = due.iter().map(|row| row.timer.kind.as_str()).collect();
                let mut expected: Vec<_> =
                    TimerKind::ALL.iter().filter(fires).map(|kind| kind.as_str()).collect();
                found.sort_unstable();
                expected.sort_unstable();
                assert_eq!(found, expected, "{by:?}");
            }
        });
    })
    .await;
}

#[tokio::test]
async fn a_fired_timer_is_cleared_unless_it_was_set_again() {
    on_each(async |store| {
        unit!(store, |tx| {
            let timer = Timer { kind: TimerKind::Registration, run: 1, phase: None, attempt: 1 };
            set(tx, 0, id(1), &timer, noon()).await?;
            let fired =
                tx.due_timers(&[mark(0, DateTime::UNIX_EPOCH)], noon(), FiredBy::Any, 1).await?.remove(0);
            set(tx, 0, id(1), &timer, noon() + MINUTE).await?;
            assert!(!tx.clear_fired(&fired).await?);
            assert_eq!(next_timer(tx).await, Some(noon() + MINUTE));
            let again = tx
                .due_timers(&[mark(0, DateTime::UNIX_EPOCH)], noon() + MINUTE, FiredBy::Any, 1)
                .await?
                .remove(0);
            assert!(tx.clear_fired(&again).await?);
            assert!(!tx.clear_fired(&again).await?);
            set(tx, 0, id(1), &timer, noon() + MINUTE).await?;
            tx.clear_timers(&[(0, id(1), TimerKind::Phase)]).await?;
            assert!(next_timer(tx).await.is_some());
            tx.clear_timers(&[(0, id(1), TimerKind::Registration), (0, id(2), TimerKind::Registration)])
                .await?;
            assert_eq!(next_timer(tx).await, None);
            set(tx, 0, id(1), &timer, noon()).await?;
            set(tx, 0, id(2), &timer, noon() + MINUTE).await?;
            tx.clear_timers(&TimerKind::ALL.iter().map(|kind| (0, id(1), *kind)).collect::<Vec<_>>()).await?;
            assert_eq!(next_timer(tx).await, Some(noon() + MINUTE), "another batch keeps its timer");
        });
    })
    .await;
}

#[tokio::test]
async fn a_lease_is_renewed_by_its_holder_only() {
    on_each(async |store| {
        unit!(store, |tx| {
            let held = tx.claim_leases("one", MINUTE, 1).await?.leases;
            assert_eq!(held.len(), 1);
            assert_eq!(tx.renew_leases("one", MINUTE, &held).await?, held);
            assert!(tx.renew_leases("two", MINUTE, &held).await?.is_empty());
            let older =
                held.iter().map(|lease| Lease { epoch: lease.epoch - 1, ..*lease }).collect::<Vec<_>>();
            assert!(tx.renew_leases("one", MINUTE, &older).await?.is_empty());
            tx.release_leases("one", &held).await?;
            let taken = tx.claim_leases("two", MINUTE, 64).await?;
            assert_eq!(taken.taken_over, 0, "it was released");
            let taken = taken.leases;
            let again = taken.iter().find(|lease| lease.shard == held[0].shard).unwrap();
            assert!(again.epoch > held[0].epoch);
        });
    })
    .await;
}

#[tokio::test]
async fn on_postgres_a_held_lease_is_not_claimed_by_another_process() {
    on_postgres(async |store, _| {
        unit!(store, |tx| {
            assert_eq!(tx.shards().await?, 64);
            assert_eq!(tx.claim_leases("one", MINUTE, 32).await?.leases.len(), 32);
            assert_eq!(tx.next_lease_end("one").await?, None, "no other process holds any");
            assert_eq!(tx.next_lease_end("two").await?, Some(MINUTE));
            assert_eq!(tx.claim_leases("two", MINUTE, 64).await?.leases.len(), 32);
            assert!(tx.claim_leases("three", MINUTE, 64).await?.leases.is_empty());
        });
    })
    .await;
}

#[tokio::test]
async fn on_postgres_an_expired_lease_of_another_process_is_taken_over() {
    on_postgres(async |store, _| {
        unit!(store, |tx| {
            tx.heartbeat("one").await?;
            tx.claim_leases("one", Duration::ZERO, 1).await?;
            let distribution = ShardDistribution { replicas: 1, shards: 64, held: 0 };
            assert_eq!(
                tx.shard_distribution(MINUTE).await?,
                ShardDistribution { held: 1, ..distribution },
                "it expires at this very moment"
            );
        });
        unit!(store, |tx| {
            let claim = tx.claim_leases("two", MINUTE, 64).await?;
            assert_eq!((claim.leases.len(), claim.taken_over), (64, 1));
            assert_eq!(tx.shard_distribution(MINUTE).await?.held, 64);
        });
    })
    .await;
}

#[tokio::test]
async fn on_sqlite_a_new_process_claims_the_lease_of_an_earlier_one_at_once() {
    on_sqlite(async |store| {
        unit!(store, |tx| {
            assert_eq!(tx.shards().await?, 1);
            assert_eq!(tx.claim_leases("dead", MINUTE, 1).await?.leases.len(), 1);
            assert!(tx.claim_leases("dead", MINUTE, 1).await?.leases.is_empty());
            assert_eq!(tx.claim_leases("new", MINUTE, 1).await?.leases, [Lease { shard: 0, epoch: 2 }]);
        });
    })
    .await;
}

#[tokio::test]
async fn processes_with_a_recent_heartbeat_are_counted_as_live() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.heartbeat("one").await?;
            tx.heartbeat("one").await?;
            tx.heartbeat("two").await?;
            assert_eq!(tx.live_replicas(MINUTE).await?, 2);
            tx.delete_replica("two").await?;
            assert_eq!(tx.live_replicas(MINUTE).await?, 1);
        });
    })
    .await;
}

#[tokio::test]
async fn the_timeline_keeps_the_reason_of_each_revision() {
    on_each(async |store| {
        unit!(store, |tx| {
            let cause = Uuid::from_u128(9);
            insert(tx, 1, 1).await;
            let second = TimelineRow { at: noon() + MINUTE, entries: "[1]".to_owned(), ..line(2, "stored") };
            let lines = [
                (id(1), TimelineRow { correlation_id: Some(cause), ..line(1, "accepted") }),
                (id(1), second.clone()),
                (id(2), line(1, "accepted")),
            ];
            tx.append_timeline(&lines).await?;
            assert_eq!(tx.timeline(&owner(), id(1), 1, 10).await?, [second]);
            let first = tx.timeline(&owner(), id(1), 0, 1).await?;
            assert_eq!((first.len(), first[0].correlation_id), (1, Some(cause)));
        });
    })
    .await;
}

#[tokio::test]
async fn the_fingerprint_secret_is_created_once() {
    on_each(async |store| {
        unit!(store, |tx| {
            let secret = tx.idempotency_key().await?;
            assert_eq!(secret.key_id, 1);
            assert_ne!(secret.key, [0; 32]);
            assert_eq!(tx.idempotency_key().await?, secret);
            assert_eq!(format!("{secret:?}"), "Secret(1)");
        });
    })
    .await;
}

#[tokio::test]
async fn facts_are_replaced_and_an_unknown_one_is_none() {
    on_each(async |store| {
        unit!(store, |tx| {
            assert_eq!(tx.meta("colour").await?, None);
            tx.set_meta("colour", "blue").await?;
            tx.set_meta("colour", "green").await?;
            assert_eq!(tx.meta("colour").await?.as_deref(), Some("green"));
        });
    })
    .await;
}
