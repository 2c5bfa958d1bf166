//! Idempotency keys, and the deletion of old rows.

use std::time::Duration;

use chrono::DateTime;
use domain::{Phase, Timer, TimerKind};
use store::{
    Answer, ClaimOutcome, FiredBy, InboxKey, KeyClaim, Labels, Private, Sent, SetTimer, StagedText,
    StoredAnswer,
};
use uuid::Uuid;

use crate::databases::{noon, on_each};
use crate::messages::{mark, message};
use crate::samples::{ended, essay, id, insert, line, owner, row};
use crate::unit;

fn claim(principal: &str) -> KeyClaim {
    KeyClaim {
        slot: 7,
        principal: principal.to_owned(),
        route: "POST /v1/batch".to_owned(),
        key: "k-1".to_owned(),
        key_id: 1,
        fingerprint: vec![1, 2, 3],
    }
}

#[tokio::test]
async fn a_second_request_with_a_key_finds_the_first_response() {
    on_each(async |store| {
        unit!(store, |tx| {
            assert_eq!(tx.stored_answer(&claim("ann")).await?, None);
            assert_eq!(tx.claim_key(&claim("ann")).await?, ClaimOutcome::New);
            let answer = Answer {
                status: 202,
                body: br#"{"batch_id":"1"}"#.to_vec(),
                location: Some("/v1/batch/1".to_owned()),
                etag: None,
            };
            tx.answer_key(&claim("ann"), id(1), &answer).await?;
            let stored = StoredAnswer {
                key_id: 1,
                fingerprint: vec![1, 2, 3],
                batch_id: Some(id(1)),
                answer: Some(answer),
            };
            let other_request = KeyClaim { fingerprint: vec![9], ..claim("ann") };
            assert_eq!(tx.claim_key(&other_request).await?, ClaimOutcome::Existing(stored.clone()));
            assert_eq!(tx.stored_answer(&claim("ann")).await?, Some(stored));
            assert_eq!(
                tx.claim_key(&claim("bob")).await?,
                ClaimOutcome::New,
                "keys of different callers are different"
            );
        });
    })
    .await;
}

#[tokio::test]
async fn keys_responses_events_and_sent_messages_are_pruned_by_age_in_chunks() {
    on_each(async |store| {
        unit!(store, |tx| {
            let (now, later) = (tx.now(), tx.now() + Duration::from_secs(1));
            for principal in ["ann", "bob", "cid"] {
                tx.claim_key(&claim(principal)).await?;
            }
            assert_eq!(tx.prune_idempotency(now, 10).await?, 0);
            assert_eq!(tx.prune_idempotency(later, 2).await?, 2);
            assert_eq!(tx.prune_idempotency(later, 2).await?, 1);

            let event = |offset| InboxKey {
                event_id: Uuid::from_u128(u128::from(offset)),
                topic: "topic".to_owned(),
                partition: 0,
                offset: i64::from(offset),
            };
            tx.record_inbox("bos", &[1_u32, 2, 3].map(|number| (id(1), event(number)))).await?;
            assert_eq!(tx.prune_inbox(now, 10).await?, 0);
            assert_eq!(tx.prune_inbox(later, 2).await?, 2);
            assert_eq!(tx.prune_inbox(later, 2).await?, 1);

            tx.enqueue(&[message(1, "a", 0)]).await?;
            let sent = tx.outbox_heads(&[mark(0, 0)], 1, 1).await?[0].id;
            tx.outbox_sent(&[Sent { shard: 0, id: sent, partition: 0, offset: 0 }]).await?;
            assert_eq!(tx.prune_sent(now, 10).await?, 0);
            assert_eq!(tx.prune_sent(later, 10).await?, 1);
            assert_eq!(tx.prune_log(later, 10).await?, 0);
        });
    })
    .await;
}

#[tokio::test]
async fn an_old_ended_batch_is_pruned_with_all_its_rows_and_a_live_one_is_kept() {
    on_each(async |store| {
        unit!(store, |tx| {
            let live = insert(tx, 1, 2).await;
            tx.insert_batch(&row(ended(2, noon()), owner())).await?;
            tx.insert_batch(&row(ended(3, noon() + Duration::from_secs(9)), owner())).await?;
            let old = id(2);
            tx.insert_labels(old, &Labels::from([("class".to_owned(), Private::from("9B"))])).await?;
            tx.stage_texts(0, old, &[(essay(2, 0), StagedText::Body(b"text"))]).await?;
            tx.append_timeline(&[(old, line(1, "accepted"))]).await?;
            let timer = Timer { kind: TimerKind::Phase, run: 1, phase: Some(Phase::Nlp), attempt: 1 };
            tx.set_timers(&[SetTimer { shard: 0, batch: old, timer, due_at: noon() }]).await?;

            assert_eq!(tx.prune_batches(noon(), 10).await?, 0);
            assert_eq!(tx.prune_batches(noon() + Duration::from_secs(1), 10).await?, 1);
            assert!(tx.batch(old).await?.is_none());
            assert!(tx.labels(&owner(), old).await?.is_empty());
            assert!(tx.timeline(&owner(), old, 0, 10).await?.is_empty());
            assert_eq!(tx.staged_depth().await?.rows, 0);
            assert!(
                tx.due_timers(
                    &[mark(0, DateTime::UNIX_EPOCH)],
                    noon() + Duration::from_hours(1),
                    FiredBy::Any,
                    10
                )
                .await?
                .is_empty()
            );
            assert!(tx.batch(id(3)).await?.is_some());
            assert_eq!(tx.essay_counts(live).await?.total(), 2);
        });
    })
    .await;
}
