//! The scans of the audit.

use chrono::DateTime;
use store::{DeadLetter, DeadLetterPosition, InboxKey, Sent};
use uuid::Uuid;

use crate::databases::{noon, on_each};
use crate::messages::{mark, message};
use crate::samples::{id, insert};
use crate::unit;

#[tokio::test]
async fn pending_and_sent_messages_are_each_read_once() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.enqueue(&[message(1, "a", 1), message(2, "b", 1), message(3, "c", 1)]).await?;
            let first = tx.audit_outbox((-1, -1), 2).await?;
            let rest = tx.audit_outbox(first[1].place, 2).await?;
            let events: Vec<_> = first.iter().chain(&rest).map(|row| row.event_id.as_u128()).collect();
            assert_eq!(events, [1, 2, 3]);
            assert!(tx.audit_outbox(rest[0].place, 2).await?.is_empty());
            assert_eq!((rest[0].sent_at, rest[0].parked, rest[0].key_seq), (None, false, 1));

            tx.park_outbox(0, rest[0].place.1, "record_too_large").await?;
            assert!(tx.audit_outbox(first[1].place, 1).await?[0].parked);
            let heads = tx.outbox_heads(&[mark(0, 0)], 10, 10).await?;
            let sent: Vec<_> =
                heads.iter().map(|row| Sent { shard: 0, id: row.id, partition: 1, offset: 7 }).collect();
            tx.outbox_sent(&sent).await?;
            let one = tx.audit_sent((DateTime::UNIX_EPOCH, (-1, -1)), 1).await?.remove(0);
            let next = tx.audit_sent((one.sent_at.unwrap(), one.place), 5).await?;
            assert_eq!([one.event_id, next[0].event_id].map(|event| event.as_u128()), [1, 2]);
            assert_eq!((next.len(), next[0].payload == message(2, "b", 1).payload), (1, true));
        });
    })
    .await;
}

#[tokio::test]
async fn batches_applied_events_and_dead_letters_are_each_read_once() {
    on_each(async |store| {
        unit!(store, |tx| {
            insert(tx, 1, 1).await;
            insert(tx, 2, 1).await;
            let batches = tx.audit_batches(Uuid::nil(), 1).await?;
            let next = tx.audit_batches(batches[0], 5).await?;
            assert_eq!([batches, next].concat(), [1, 2].map(|number| id(number).as_uuid()));

            let event = |number| InboxKey {
                event_id: Uuid::from_u128(number),
                topic: "topic".to_owned(),
                partition: 0,
                offset: 1,
            };
            tx.record_inbox("us", &[event(8), event(9)].map(|event| (id(1), event))).await?;
            tx.record_inbox("others", &[(id(1), event(8))]).await?;
            let nil = (Uuid::nil(), Uuid::nil());
            let first = tx.audit_inbox("us", nil, 1).await?;
            let next = tx.audit_inbox("us", first[0], 5).await?;
            let events: Vec<_> = first.iter().chain(&next).map(|(_, event)| event.as_u128()).collect();
            assert_eq!(events, [8, 9]);

            for offset in [4, 3] {
                let letter = DeadLetter {
                    consumer: "us".to_owned(),
                    topic: "topic".to_owned(),
                    partition: 1,
                    offset,
                    event_id: None,
                    batch_id: None,
                    error_code: "not_json".to_owned(),
                    value_sha256: vec![1],
                    at: noon(),
                    after_revision: None,
                };
                tx.insert_dead_letter(&letter).await?;
            }
            let place = |offset| -> DeadLetterPosition { ("topic".to_owned(), 1, offset) };
            assert_eq!(tx.audit_dead_letters("us", &(String::new(), -1, -1), 1).await?, [place(3)]);
            assert_eq!(tx.audit_dead_letters("us", &place(3), 5).await?, [place(4)]);
            assert!(tx.audit_dead_letters("others", &(String::new(), -1, -1), 5).await?.is_empty());
        });
    })
    .await;
}
