//! Staged texts.

use std::time::Duration;

use store::{LowWaterMark, Private, StagedDepth, StagedText};
use uuid::Uuid;

use crate::databases::{noon, on_each};
use crate::samples::{essay, id, text};
use crate::unit;

/// The first shard, from its first row on.
const START: [LowWaterMark<Uuid>; 1] = [LowWaterMark { shard: 0, low: Uuid::nil() }];

#[tokio::test]
async fn staged_texts_are_read_oldest_batch_first_within_the_limits_of_rows_and_bytes() {
    on_each(async |store| {
        unit!(store, |tx| {
            let body = vec![b'x'; 1_000];
            let reference = text("elsewhere");
            tx.stage_texts(0, id(2), &[(essay(2, 0), StagedText::Reference(&reference))]).await?;
            let bodies = [0, 1, 2].map(|at| (essay(1, at), StagedText::Body(&body)));
            tx.stage_texts(0, id(1), &bodies).await?;
            tx.stage_texts(1, id(3), &[(essay(3, 0), StagedText::Body(b"other shard"))]).await?;

            let now = tx.now();
            let due = tx.due_staged(&START, now, 10, 1 << 20).await?;
            let essays: Vec<_> = due.iter().map(|row| row.essay).collect();
            assert_eq!(essays, [essay(1, 0), essay(1, 1), essay(1, 2), essay(2, 0)]);
            assert_eq!(
                (due[0].batch, &due[0].body, &due[0].reference),
                (id(1), &Some(Private(body.clone())), &None)
            );
            assert_eq!((&due[3].body, &due[3].reference), (&None, &Some(reference.clone())));
            assert_eq!(tx.due_staged(&START, now, 2, 1 << 20).await?.len(), 2);
            assert_eq!(tx.due_staged(&START, now, 10, 2_500).await?.len(), 2);
            assert_eq!(
                tx.due_staged(&START, now, 10, 1).await?.len(),
                1,
                "a text over the limit is read alone"
            );
            assert_eq!(
                tx.staged_depth().await?,
                StagedDepth { rows: 5, bytes: 3_011, oldest_at: Some(noon()) }
            );
        });
    })
    .await;
}

#[tokio::test]
async fn staged_texts_are_read_from_the_low_water_mark_on() {
    on_each(async |store| {
        unit!(store, |tx| {
            for number in [1, 2] {
                tx.stage_texts(0, id(number), &[(essay(number, 0), StagedText::Body(b"text"))]).await?;
            }
            tx.stage_texts(1, id(3), &[(essay(3, 0), StagedText::Body(b"text"))]).await?;
            let (first, second) = (id(1).as_uuid(), id(2).as_uuid());
            let now = tx.now();
            tx.postpone_staged(0, id(1), &[essay(1, 0)], now + Duration::from_secs(5), true).await?;
            let other = LowWaterMark { shard: 1, low: Uuid::max() };
            let low = tx.staged_low(&[START[0], other]).await?;
            assert_eq!(low, [LowWaterMark { shard: 0, low: first }], "a text that is postponed waits too");
            assert_eq!(
                tx.due_staged(&[LowWaterMark { shard: 0, low: second }], now, 10, 1_000).await?.len(),
                1
            );
            tx.delete_staged(0, id(1), &[essay(1, 0)]).await?;
            assert_eq!(tx.staged_low(&low).await?, [LowWaterMark { shard: 0, low: second }]);
            let behind = [LowWaterMark { shard: 0, low: Uuid::max() }];
            assert!(tx.due_staged(&behind, now, 10, 1_000).await?.is_empty());
        });
    })
    .await;
}

#[tokio::test]
async fn a_postponed_text_is_not_due_until_its_time() {
    on_each(async |store| {
        unit!(store, |tx| {
            let bodies = [0, 1].map(|at| (essay(1, at), StagedText::Body(b"text")));
            tx.stage_texts(0, id(1), &bodies).await?;
            let later = tx.now() + Duration::from_secs(5);
            tx.postpone_staged(0, id(1), &[essay(1, 0)], later, true).await?;
            let now = tx.now();
            let due = tx.due_staged(&START, now, 10, 1_000).await?;
            assert_eq!(due.iter().map(|row| row.essay).collect::<Vec<_>>(), [essay(1, 1)]);
            tx.postpone_staged(0, id(1), &[essay(1, 1)], later, false).await?;
            assert!(tx.due_staged(&START, now, 10, 1_000).await?.is_empty());
            let due = tx.due_staged(&START, later, 10, 1_000).await?;
            assert_eq!(due.iter().map(|row| row.attempts).collect::<Vec<_>>(), [1, 0]);
        });
    })
    .await;
}

#[tokio::test]
async fn a_deleted_text_is_gone_and_deleting_it_again_does_nothing() {
    on_each(async |store| {
        unit!(store, |tx| {
            let bodies = [0, 1, 2].map(|at| (essay(1, at), StagedText::Body(b"text")));
            tx.stage_texts(0, id(1), &bodies).await?;
            tx.delete_staged(0, id(1), &[essay(1, 0)]).await?;
            tx.delete_staged(0, id(1), &[essay(1, 0)]).await?;
            assert_eq!(tx.delete_all_staged(0, id(1)).await?, 2);
            assert_eq!(tx.staged_depth().await?, StagedDepth::default());
        });
    })
    .await;
}

/// More bytes than the limit of one statement, so PostgreSQL gets several.
#[tokio::test]
async fn many_large_texts_are_staged_completely() {
    on_each(async |store| {
        unit!(store, |tx| {
            let body = vec![b'x'; 200_000];
            let bodies: Vec<_> = (0..100).map(|at| (essay(1, at), StagedText::Body(&body))).collect();
            tx.stage_texts(0, id(1), &bodies).await?;
            assert_eq!(
                tx.staged_depth().await?,
                StagedDepth { rows: 100, bytes: 20_000_000, oldest_at: Some(noon()) }
            );
        });
    })
    .await;
}
