//! Operator queries about messages.

use std::time::Duration;

use store::{OutboxPlace, Sent, Tx};
use uuid::Uuid;

use crate::databases::on_each;
use crate::messages::{mark, message};
use crate::unit;

async fn heads(tx: &mut Tx) -> Vec<(i64, u128)> {
    let heads = tx.outbox_heads(&[mark(0, 0)], 100, 100).await.unwrap();
    heads.iter().map(|row| (row.id, row.message.event_id.as_u128())).collect()
}

/// Sends everything as the relay does, a key's next message after the one before; returns the order.
async fn relay_all(tx: &mut Tx) -> Vec<u128> {
    let mut order = Vec::new();
    loop {
        let heads = heads(tx).await;
        if heads.is_empty() {
            return order;
        }
        for (id, event) in heads {
            let offset = i64::try_from(order.len()).unwrap();
            tx.outbox_sent(&[Sent { shard: 0, id, partition: 0, offset }]).await.unwrap();
            order.push(event);
        }
    }
}

#[tokio::test]
async fn pending_and_parked_messages_are_listed_oldest_first() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.enqueue(&[message(1, "a", 0), message(2, "a", 1), message(3, "b", 0)]).await?;
            let first = heads(tx).await[0].0;
            tx.park_outbox(0, first, "record_too_large").await?;
            let rows = tx.outbox_rows(None, 2).await?;
            assert_eq!(rows.len(), 2);
            let row = &rows[0];
            assert_eq!((row.shard, row.id, row.event_id), (0, first, Uuid::from_u128(1)));
            assert_eq!((row.parked, row.error_code.as_deref()), (true, Some("record_too_large")));
            assert_eq!((row.ordering_key.as_str(), row.key_seq, row.size_bytes), ("a", 0, 4));
            assert!(!rows[1].parked);
        });
    })
    .await;
}

#[tokio::test]
async fn a_page_of_messages_continues_after_the_last_row_of_the_page_before() {
    on_each(async |store| {
        unit!(store, |tx| {
            // All are enqueued at one time, so their rows decide.
            let all: Vec<_> =
                (1..=5).map(|number| message(number, "a", number.try_into().unwrap())).collect();
            tx.enqueue(&all).await?;
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = tx.outbox_rows(after, 2).await?;
                let Some(last) = page.last() else { break };
                after = Some(OutboxPlace { created_at: last.created_at, shard: last.shard, id: last.id });
                seen.extend(page.iter().map(|row| row.event_id.as_u128()));
            }
            assert_eq!(seen, [1, 2, 3, 4, 5]);
            let before = OutboxPlace { created_at: tx.now() - Duration::from_secs(1), shard: 9, id: 9_000 };
            assert_eq!(tx.outbox_rows(Some(before), 9).await?.len(), 5, "the time decides first");
        });
    })
    .await;
}

#[tokio::test]
async fn a_parked_message_is_unparked_or_skipped_and_its_key_is_unblocked() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.enqueue(&[message(1, "a", 0), message(2, "a", 1)]).await?;
            let first = heads(tx).await[0].0;
            assert!(!tx.unpark_outbox(0, first).await?, "it is not parked");
            assert!(!tx.skip_outbox(0, first).await?, "it is not parked");
            tx.park_outbox(0, first, "record_invalid").await?;
            assert!(heads(tx).await.is_empty());

            assert!(tx.unpark_outbox(0, first).await?);
            assert_eq!(heads(tx).await, [(first, 1)]);

            tx.park_outbox(0, first, "record_invalid").await?;
            assert!(tx.skip_outbox(0, first).await?);
            assert_eq!(heads(tx).await[0].1, 2);
            let (now, day) = (tx.now(), Duration::from_hours(24));
            assert!(
                tx.sent_by_topic(now - day, now + day).await?.is_empty(),
                "a skipped message does not count as sent"
            );
            assert_eq!(
                tx.prune_sent(now + day, 10).await?,
                1,
                "a skipped message is archived like a sent one"
            );
        });
    })
    .await;
}

#[tokio::test]
async fn sent_messages_are_resent_with_their_ids_in_order_and_before_pending_ones_of_their_key() {
    on_each(async |store| {
        unit!(store, |tx| {
            let sent = [message(1, "a", 0), message(2, "a", 1), message(3, "b", 0)];
            tx.enqueue(&sent).await?;
            assert_eq!(relay_all(tx).await, [1, 3, 2]);
            tx.enqueue(&[message(4, "a", 2)]).await?;
            let (now, day) = (tx.now(), Duration::from_hours(24));

            let count = tx.sent_by_topic(now - day, now).await?;
            assert_eq!((count.len(), count[0].messages, count[0].bytes), (1, 3, 12));
            assert!(tx.sent_by_topic(now + day, now + day).await?.is_empty());
            assert_eq!(tx.resend(0, now + day, now + day).await?, 0);
            assert_eq!(tx.resend(1, now - day, now).await?, 0, "they belong to another shard");

            assert_eq!(tx.resend(0, now - day, now).await?, 3);
            assert_eq!(tx.resend(0, now - day, now).await?, 0, "they are pending already");
            let again = tx.outbox_heads(&[mark(0, 0)], 10, 10).await?.remove(0).message;
            assert_eq!(
                (again.payload, again.kafka_key),
                (sent[0].payload.clone(), sent[0].kafka_key.clone())
            );
            assert_eq!(relay_all(tx).await, [1, 3, 2, 4]);
        });
    })
    .await;
}
