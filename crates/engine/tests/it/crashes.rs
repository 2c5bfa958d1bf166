//! The crash table of ARCHITECTURE.md: crash at every crash point, start again, and nothing is lost or duplicated.

use std::collections::HashMap;

use domain::{BatchStatus, Phase};
use engine::CrashPoint;

use crate::installation::{Installation, batch_of};

const PHASES: [Phase; 2] = [Phase::Spellcheck, Phase::Nlp];

/// Crashes at `point` while a class is processed, starts again, repeats the submission with the same key as a client would, and
/// expects one completed batch and no event with two contents.
async fn survive(point: CrashPoint) {
    let folder = tempfile::tempdir().unwrap();
    let installation = Installation::start_with_crash(folder.path(), point).await;
    // The crash may lose the answer; the client then retries.
    let _ = installation.submit(5, &PHASES, Some("class 9B")).await;
    installation.crashed().await;
    installation.stop().await;

    let installation = Installation::start(folder.path()).await;
    let receipt = installation.submit(5, &PHASES, Some("class 9B")).await.unwrap();
    let status = installation.ended(batch_of(&receipt)).await;
    assert_eq!(status.row.batch.status(), BatchStatus::CompletedSuccessfully, "{point:?}");
    assert_eq!(status.counts.succeeded, 5, "{point:?}");
    assert_eq!(installation.batches().await.len(), 1, "{point:?}: one class, one batch");
    installation.stop().await;

    let installation = Installation::start(folder.path()).await;
    let mut seen: HashMap<uuid::Uuid, Vec<u8>> = HashMap::new();
    for (topic, id, value) in installation.log().await {
        // A companion that repeats its work reports other times. What the engine sends is the same byte for byte.
        let envelope: serde_json::Value = serde_json::from_slice(&value).unwrap();
        let source = envelope.get("source_service").and_then(serde_json::Value::as_str);
        let is_ours = matches!(source, Some("batch-service" | "batch-orchestrator-service"));
        if is_ours && let Some(first) = seen.insert(id, value.clone()) {
            assert!(first == value, "{point:?}: {topic} was sent again with other bytes");
        }
    }
    assert!(seen.len() > PHASES.len(), "{point:?}: the engine's own events are recognised");
    installation.stop().await;
}

macro_rules! each_point {
    ($($name:ident: $point:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            survive(CrashPoint::$point).await;
        }
    )*};
}

each_point! {
    a_crash_before_the_accept_transaction_stores_nothing_and_the_retry_makes_the_batch: BeforeAccept,
    a_crash_after_the_accept_commit_gives_the_retry_its_answer_and_ingest_finds_the_texts: Accepted,
    a_crash_after_the_content_service_answered_stores_the_text_again: TextStored,
    a_crash_before_the_signal_is_recovered_by_the_period: BeforeWake,
    a_crash_before_publishing_leaves_the_outbox_row_for_the_next_start: BeforePublish,
    a_crash_after_publishing_publishes_no_other_bytes: Published,
    a_crash_with_received_messages_gets_them_again: Polled,
    a_crash_between_the_change_and_the_offset_finds_the_inbox_row: Consumed,
}
