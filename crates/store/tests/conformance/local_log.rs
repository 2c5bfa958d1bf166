//! The log of the embedded event bus, which only SQLite has.

use std::time::Duration;

use store::LogRow;
use uuid::Uuid;

use crate::databases::{noon, on_sqlite};
use crate::messages::message;
use crate::unit;

fn record(number: u128, topic: &str) -> LogRow {
    LogRow {
        topic: topic.to_owned(),
        key: "key".to_owned(),
        event_id: Uuid::from_u128(number),
        value: vec![b'x'; 100],
        headers: "{}".to_owned(),
    }
}

#[tokio::test]
async fn a_reader_sees_its_topics_in_order_and_skips_the_others_once() {
    on_sqlite(async |store| {
        unit!(store, |tx| {
            assert_eq!(tx.log_end().await?, 0);
            let rows = [record(1, "a"), record(2, "b"), record(3, "a"), record(4, "c"), record(5, "b")];
            assert_eq!(tx.append_log(&rows).await?, 5);
            let page = tx.read_log(0, &["a", "c"], 2, 1 << 20).await?;
            assert_eq!(page.records.iter().map(|r| r.id).collect::<Vec<_>>(), [1, 3]);
            assert_eq!(page.records[0].row, record(1, "a"));
            assert_eq!(page.scanned_to, 3);
            let page = tx.read_log(3, &["a", "c"], 2, 1 << 20).await?;
            assert_eq!((page.records[0].id, page.scanned_to), (4, 5));
            let page = tx.read_log(5, &["a", "c"], 2, 1 << 20).await?;
            assert_eq!((page.records.len(), page.scanned_to), (0, 5));
        });
    })
    .await;
}

#[tokio::test]
async fn a_page_ends_at_its_byte_limit_but_has_at_least_one_record() {
    on_sqlite(async |store| {
        unit!(store, |tx| {
            tx.append_log(&[record(1, "a"), record(2, "a"), record(3, "a")]).await?;
            let page = tx.read_log(0, &["a"], 10, 250).await?;
            assert_eq!((page.records.len(), page.scanned_to), (2, 2));
            let page = tx.read_log(0, &["a"], 10, 1).await?;
            assert_eq!((page.records.len(), page.scanned_to), (1, 1));
        });
    })
    .await;
}

#[tokio::test]
async fn messages_move_from_the_outbox_to_the_log_in_order_and_unchanged() {
    on_sqlite(async |store| {
        unit!(store, |tx| {
            tx.enqueue(&[message(1, "a", 0), message(2, "a", 1), message(3, "b", 0)]).await?;
            assert_eq!(tx.outbox_to_log(2).await?, 2);
            assert_eq!(tx.outbox_to_log(2).await?, 1);
            assert_eq!(tx.outbox_to_log(2).await?, 0);
            let log = tx.read_log(0, &["topic"], 10, 1 << 20).await?;
            let events: Vec<_> = log.records.iter().map(|r| r.row.event_id.as_u128()).collect();
            assert_eq!(events, [1, 2, 3]);
            assert_eq!(log.records[0].row.value, message(1, "a", 0).payload);
            assert_eq!(tx.outbox_depth().await?.pending, 0);
        });
    })
    .await;
}

#[tokio::test]
async fn the_log_is_pruned_below_the_lowest_position_and_by_age() {
    on_sqlite(async |store| {
        unit!(store, |tx| {
            tx.append_log(&[record(1, "a"), record(2, "a"), record(3, "a")]).await?;
            let later = noon() + Duration::from_secs(1);
            assert_eq!(tx.prune_log(later, 10).await?, 0, "no consumer has a position yet");
            tx.set_log_position("bos", 3).await?;
            tx.set_log_position("other", 2).await?;
            assert_eq!(tx.log_position("other").await?, Some(2));
            assert_eq!(tx.prune_log(noon(), 10).await?, 0, "too young");
            assert_eq!(tx.prune_log(later, 10).await?, 1);
            tx.set_log_position("other", 4).await?;
            tx.set_log_position("bos", 4).await?;
            assert_eq!(tx.prune_log(later, 10).await?, 2);
            assert_eq!(tx.append_log(&[record(4, "a")]).await?, 4, "an id is never reused");
        });
    })
    .await;
}
