//! A caller's trace is handed on, also where nobody listens to spans.

use std::collections::HashMap;

use bytes::Bytes;
use domain::{EssayId, Phase};
use engine::{News, Submission};
use serde_json::Value;
use store::{LowWaterMark, OutboxRow, StoredEssay};

use crate::desk::Desk;
use crate::world::submission;

const PLACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What waits for the bus.
async fn waiting(desk: &Desk) -> Vec<OutboxRow> {
    let heads = desk.store.read(|tx| {
        Box::pin(async move { tx.outbox_heads(&[LowWaterMark { shard: 0, low: 0 }], 100, 100).await })
    });
    let heads: Result<_, store::Error> = heads.await;
    heads.unwrap().into_iter().map(|head| head.message).collect()
}

#[tokio::test]
async fn every_message_of_a_batch_carries_the_place_that_it_was_handed_in_at() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path()).await;
    let id = desk.engine.new_batch_id(None).unwrap();
    let one = [Bytes::from_static(b"An essay.")].into_iter();
    let handed_in = Submission {
        phases: vec![Phase::Spellcheck],
        trace: Some(PLACE.parse().unwrap()),
        ..submission(id, one)
    };
    desk.engine.submit(handed_in).await.unwrap();
    let stored = vec![StoredEssay {
        essay_id: EssayId::new(id, 0),
        storage_id: "text-0".parse().unwrap(),
        size_bytes: 9,
    }];
    desk.news(id, News::TextsStored { stored, refused: Vec::new() }).await;
    let rows = waiting(&desk).await;
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let headers: HashMap<String, String> = serde_json::from_str(&row.headers).unwrap();
        assert_eq!(headers["traceparent"], PLACE, "{}", row.topic);
    }
}

#[tokio::test]
async fn a_batch_without_a_trace_sends_messages_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path()).await;
    desk.running(1, &[Phase::Spellcheck]).await;
    for row in waiting(&desk).await {
        let envelope: Value = serde_json::from_slice(&row.payload).unwrap();
        assert!(!row.headers.contains("traceparent"), "{}", row.headers);
        assert!(envelope["metadata"]["traceparent"].is_null());
    }
}
