//! Outbox, inbox and dead letters.

use std::time::Duration;

use domain::BatchId;
use store::{
    DeadLetter, DeadLetterPlace, Error, InboxKey, Lane, LowWaterMark, OutboxDepth, OutboxRow, QueueDepth,
    Sent, Tx,
};
use uuid::Uuid;

use crate::databases::on_each;
use crate::samples::{batch, id, owner, row};
use crate::unit;

pub(crate) fn message(number: u128, key: &str, key_seq: i64) -> OutboxRow {
    OutboxRow {
        shard: 0,
        event_id: Uuid::from_u128(number),
        ordering_key: key.to_owned(),
        key_seq,
        topic: "topic".to_owned(),
        kafka_key: "key".to_owned(),
        payload: vec![0, 159, 146, 150],
        headers: r#"{"event_type":"thing.happened"}"#.to_owned(),
    }
}

pub(crate) fn mark<K>(shard: i64, low: K) -> LowWaterMark<K> {
    LowWaterMark { shard, low }
}

async fn heads(tx: &mut Tx) -> Vec<(i64, u128)> {
    let heads = tx.outbox_heads(&[mark(0, 0)], 100, 100).await.unwrap();
    heads.iter().map(|row| (row.id, row.message.event_id.as_u128())).collect()
}

#[tokio::test]
async fn a_message_is_enqueued_once() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.enqueue(&[message(1, "a", 0), message(1, "a", 1)]).await?;
            tx.enqueue(&[message(1, "a", 2)]).await?;
            let found = tx.outbox_heads(&[mark(0, 0)], 10, 10).await?.pop().unwrap();
            let headers: serde_json::Value = serde_json::from_str(&found.message.headers).unwrap();
            assert_eq!(headers["event_type"], "thing.happened");
            let expected = OutboxRow { headers: found.message.headers.clone(), ..message(1, "a", 0) };
            assert_eq!((found.attempts, found.message), (0, expected));
            assert!(tx.outbox_heads(&[mark(1, 0)], 10, 10).await?.is_empty());
            tx.enqueue::<OutboxRow>(&[]).await?;
        });
    })
    .await;
}

#[tokio::test]
async fn two_messages_at_one_position_of_a_key_are_an_error() {
    on_each(async |store| {
        let twice = store.unit(Lane::Caller, |tx| {
            Box::pin(async move { tx.enqueue(&[message(1, "a", 0), message(2, "a", 0)]).await })
        });
        assert!(matches!(twice.await, Err(Error::Rejected { .. })));
        unit!(store, |tx| { assert_eq!(tx.outbox_depth().await?, OutboxDepth::default()) });
    })
    .await;
}

#[tokio::test]
async fn only_the_first_message_of_each_key_is_due_and_the_next_once_it_is_sent() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.enqueue(&[message(1, "a", 0), message(2, "a", 1), message(3, "b", 0)]).await?;
            let first = heads(tx).await;
            assert_eq!(first.iter().map(|(_, event)| *event).collect::<Vec<_>>(), [1, 3]);
            assert_eq!(tx.outbox_low(&[mark(0, 0)]).await?, [mark(0, first[0].0)]);
            assert_eq!(tx.outbox_heads(&[mark(0, first[1].0)], 10, 10).await?.len(), 1);
            let sent = Sent { shard: 0, id: first[0].0, partition: 2, offset: 40 };
            tx.outbox_sent(&[sent]).await?;
            tx.outbox_sent(&[sent]).await?;
            let second = heads(tx).await;
            assert_eq!(second.iter().map(|(_, event)| *event).collect::<Vec<_>>(), [2, 3]);
            assert!(tx.outbox_low(&[mark(0, first[0].0)]).await?[0].low > first[0].0);
            assert_eq!(tx.outbox_low(&[mark(0, i64::MAX)]).await?, []);
        });
    })
    .await;
}

#[tokio::test]
async fn messages_of_many_shards_are_read_within_the_limits_and_archived_by_one_statement_each() {
    on_each(async |store| {
        unit!(store, |tx| {
            let shards = if tx.shards().await? > 1 { vec![3, 1] } else { vec![0] };
            let mut number = 0;
            for shard in &shards {
                for key in ["a", "b", "c"] {
                    number += 1;
                    let row = OutboxRow { shard: *shard, ..message(number, key, 0) };
                    tx.enqueue(&[row]).await?;
                }
            }
            let marks: Vec<_> = shards.iter().map(|shard| mark(*shard, 0)).collect();
            let two_each = tx.outbox_heads(&marks, 2, 100).await?;
            let of = |shard| two_each.iter().filter(|row| row.message.shard == shard).count();
            assert!(shards.iter().all(|shard| of(*shard) == 2));
            assert_eq!(tx.outbox_heads(&marks, 100, 1).await?.len(), 1);
            let sent: Vec<_> = two_each
                .iter()
                .map(|row| Sent { shard: row.message.shard, id: row.id, partition: 0, offset: row.id })
                .collect();
            tx.outbox_sent(&sent).await?;
            assert_eq!(tx.outbox_heads(&marks, 100, 100).await?.len(), shards.len());
        });
    })
    .await;
}

#[tokio::test]
async fn a_parked_message_blocks_its_key_and_no_other() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.enqueue(&[message(1, "a", 0), message(2, "a", 1), message(3, "b", 0)]).await?;
            let first = heads(tx).await[0].0;
            tx.park_outbox(0, first, "too_large").await?;
            assert_eq!(heads(tx).await.iter().map(|(_, event)| *event).collect::<Vec<_>>(), [3]);
            let depth = tx.outbox_depth().await?;
            assert_eq!((depth.pending, depth.parked), (2, 1));
            assert_eq!((depth.oldest_at, depth.oldest_parked_at), (Some(tx.now()), Some(tx.now())));
            assert_eq!(tx.postpone_outbox(0, first, tx.now()).await?, None);
        });
    })
    .await;
}

#[tokio::test]
async fn a_postponed_message_counts_an_attempt_and_is_not_due() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.enqueue(&[message(1, "a", 0)]).await?;
            let only = heads(tx).await[0].0;
            let later = tx.now() + Duration::from_mins(1);
            assert_eq!(tx.postpone_outbox(0, only, later).await?, Some(1));
            assert!(heads(tx).await.is_empty());
            assert_eq!(tx.postpone_outbox(0, only, tx.now()).await?, Some(2));
            assert_eq!(tx.outbox_heads(&[mark(0, 0)], 1, 1).await?[0].attempts, 2);
        });
    })
    .await;
}

fn event(number: u128) -> InboxKey {
    InboxKey { event_id: Uuid::from_u128(number), topic: "topic".to_owned(), partition: 0, offset: 7 }
}

fn about(batch: u64, events: &[InboxKey]) -> Vec<(BatchId, InboxKey)> {
    events.iter().map(|event| (id(batch), event.clone())).collect()
}

#[tokio::test]
async fn an_event_deleted_from_the_inbox_is_new_again() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.record_inbox("bos", &about(1, &[event(1), event(2)])).await?;
            tx.delete_from_inbox(id(1), "bos", &[Uuid::from_u128(1)]).await?;
            assert_eq!(tx.record_inbox("bos", &about(1, &[event(1), event(2)])).await?, [true, false]);
        });
    })
    .await;
}

#[tokio::test]
async fn an_event_is_new_to_each_consumer_once() {
    on_each(async |store| {
        unit!(store, |tx| {
            let (one, two) = (event(1), event(2));
            let turn = [one.clone(), two.clone(), one.clone()];
            assert_eq!(tx.record_inbox("bos", &about(1, &turn)).await?, [true, true, false]);
            assert_eq!(tx.record_inbox("bos", &about(1, &[two.clone(), event(3)])).await?, [false, true]);
            assert_eq!(tx.record_inbox("other", &about(1, std::slice::from_ref(&one))).await?, [true]);
            assert_eq!(tx.record_inbox("bos", &about(2, std::slice::from_ref(&one))).await?, [true]);
            let of_two = [3, 4].map(|batch| about(batch, std::slice::from_ref(&one))).concat();
            assert_eq!(
                tx.record_inbox("bos", &of_two).await?,
                [true, true],
                "one event id about two batches"
            );
            assert!(tx.record_inbox("bos", &[]).await?.is_empty());
        });
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_found_and_deleted_by_its_position() {
    on_each(async |store| {
        unit!(store, |tx| {
            let letter = DeadLetter {
                consumer: "bos".to_owned(),
                topic: "topic".to_owned(),
                partition: 3,
                offset: 7,
                event_id: Some(Uuid::from_u128(1)),
                batch_id: None,
                error_code: "not_json".to_owned(),
                value_sha256: vec![7; 32],
                at: crate::databases::noon(),
                after_revision: None,
            };
            tx.insert_dead_letter(&letter).await?;
            assert_eq!(tx.dead_letter("bos", "topic", 3, 7).await?, Some(letter));
            assert_eq!(tx.dead_letter("bos", "topic", 3, 8).await?, None);
            assert_eq!(tx.dead_letter("other", "topic", 3, 7).await?, None);
            assert!(!tx.delete_dead_letter("bos", "topic", 2, 7).await?);
            assert!(tx.delete_dead_letter("bos", "topic", 3, 7).await?);
            assert!(!tx.delete_dead_letter("bos", "topic", 3, 7).await?);
            assert_eq!(tx.dead_letter_depth().await?, QueueDepth::default());
        });
    })
    .await;
}

/// A dead letter about the first batch, at an offset of partition 0.
fn dead_letter_at(offset: i64, error_code: &str) -> DeadLetter {
    DeadLetter {
        consumer: "bos".to_owned(),
        topic: "topic".to_owned(),
        partition: 0,
        offset,
        event_id: None,
        batch_id: Some(id(1)),
        error_code: error_code.to_owned(),
        value_sha256: vec![7; 32],
        at: crate::databases::noon(),
        after_revision: None,
    }
}

#[tokio::test]
async fn an_early_dead_letter_is_due_once_its_batch_is_past_the_awaited_revision() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.insert_batch(&row(batch(1, 3), owner())).await?;
            let letter =
                |offset, after_revision| DeadLetter { after_revision, ..dead_letter_at(offset, "too_early") };
            let revision = batch(1, 3).revision;
            for early in [letter(1, Some(revision)), letter(2, Some(revision - 1)), letter(3, None)] {
                tx.insert_dead_letter(&early).await?;
            }
            assert_eq!(tx.due_dead_letters("bos", 9).await?, [letter(2, Some(revision - 1))]);
            assert_eq!(tx.due_dead_letters("other", 9).await?, []);

            tx.update_dead_letter(&letter(2, Some(revision))).await?;
            assert_eq!(tx.due_dead_letters("bos", 9).await?, []);
            assert_eq!(tx.dead_letter("bos", "topic", 0, 2).await?, Some(letter(2, Some(revision))));
            tx.update_dead_letter(&letter(4, Some(0))).await?;
            assert_eq!(
                tx.dead_letter("bos", "topic", 0, 4).await?,
                None,
                "a deleted one is not inserted again"
            );
        });
    })
    .await;
}

#[tokio::test]
async fn a_page_of_dead_letters_continues_after_the_last_row_of_the_page_before() {
    on_each(async |store| {
        unit!(store, |tx| {
            let letter = |second: u64, consumer: &str, offset| DeadLetter {
                consumer: consumer.to_owned(),
                at: crate::databases::noon() + Duration::from_secs(second),
                ..dead_letter_at(offset, "undecodable")
            };
            let latest_first = [
                letter(2, "bos", 9),
                letter(1, "bos", 3),
                letter(1, "bos", 4),
                letter(1, "other", 3),
                letter(0, "bos", 1),
            ];
            for letter in latest_first.iter().rev() {
                tx.insert_dead_letter(letter).await?;
            }
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = tx.dead_letters(after, 2).await?;
                let Some(last) = page.last().cloned() else { break };
                let DeadLetter { at, consumer, topic, partition, offset, .. } = last;
                after = Some(DeadLetterPlace { at, consumer, topic, partition, offset });
                seen.extend(page);
            }
            assert_eq!(seen, latest_first);
        });
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_inserted_once_per_position() {
    on_each(async |store| {
        unit!(store, |tx| {
            let letter = |offset| dead_letter_at(offset, "undecodable");
            assert!(tx.insert_dead_letter(&letter(1)).await?);
            assert!(!tx.insert_dead_letter(&letter(1)).await?);
            assert!(tx.insert_dead_letter(&letter(2)).await?);
            assert_eq!(tx.dead_letters(None, 1).await?, [letter(1)]);
            let noon = crate::databases::noon();
            assert_eq!(tx.dead_letter_depth().await?, QueueDepth { rows: 2, oldest_at: Some(noon) });
        });
    })
    .await;
}
