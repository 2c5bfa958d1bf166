//! The trace context of a caller is passed on, also when spans are disabled.

use std::collections::HashMap;

use bytes::Bytes;
use domain::{EssayId, Phase};
use engine::{News, Submission};
use serde_json::Value;
use store::{LowWaterMark, OutboxRow, StoredEssay};

use crate::installation::submission;
use crate::manual_engine::ManualEngine;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The messages in the outbox.
async fn outbox(manual: &ManualEngine) -> Vec<OutboxRow> {
    let heads = manual.store.read(|tx| {
        Box::pin(async move { tx.outbox_heads(&[LowWaterMark { shard: 0, low: 0 }], 100, 100).await })
    });
    let heads: Result<_, store::Error> = heads.await;
    heads.unwrap().into_iter().map(|head| head.message).collect()
}

#[tokio::test]
async fn every_message_of_a_batch_carries_the_trace_context_of_its_submission() {
    let folder = tempfile::tempdir().unwrap();
    let manual = ManualEngine::open(folder.path()).await;
    let id = manual.engine.new_batch_id(None).unwrap();
    let one = [Bytes::from_static(b"An essay.")].into_iter();
    let submission = Submission {
        phases: vec![Phase::Spellcheck],
        trace: Some(TRACEPARENT.parse().unwrap()),
        ..submission(id, one)
    };
    manual.engine.submit(submission).await.unwrap();
    let stored = vec![StoredEssay {
        essay_id: EssayId::new(id, 0),
        storage_id: "text-0".parse().unwrap(),
        size_bytes: 9,
    }];
    manual.apply(id, News::TextsStored { stored, refused: Vec::new() }).await;
    let rows = outbox(&manual).await;
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let headers: HashMap<String, String> = serde_json::from_str(&row.headers).unwrap();
        assert_eq!(headers["traceparent"], TRACEPARENT, "{}", row.topic);
    }
}

#[tokio::test]
async fn a_batch_without_a_trace_sends_messages_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let manual = ManualEngine::open(folder.path()).await;
    manual.running_batch(1, &[Phase::Spellcheck]).await;
    for row in outbox(&manual).await {
        let envelope: Value = serde_json::from_slice(&row.payload).unwrap();
        assert!(!row.headers.contains("traceparent"), "{}", row.headers);
        assert!(envelope["metadata"]["traceparent"].is_null());
    }
}
