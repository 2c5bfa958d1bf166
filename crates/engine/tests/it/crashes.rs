//! The crash table: stop dead at every named place, start again, and nothing is lost or doubled.

use std::collections::HashMap;

use domain::{BatchStatus, Phase};
use engine::CrashPoint;

use crate::world::{World, batch_of};

const PHASES: [Phase; 2] = [Phase::Spellcheck, Phase::Nlp];

/// Stops at `point` while a class is under way, starts again, hands the class in again under the same key as a client would,
/// and expects one batch, all of it done, and no event twice.
async fn survive(point: CrashPoint) {
    let folder = tempfile::tempdir().unwrap();
    let world = World::doomed(folder.path(), point).await;
    // The answer may be lost with the process: a client then asks again.
    let _ = world.submit(5, &PHASES, Some("class 9B")).await;
    world.death().await;
    world.stop().await;

    let world = World::start(folder.path()).await;
    let receipt = world.submit(5, &PHASES, Some("class 9B")).await.unwrap();
    let status = world.ended(batch_of(&receipt)).await;
    assert_eq!(status.row.batch.status(), BatchStatus::CompletedSuccessfully, "{point:?}");
    assert_eq!(status.counts.succeeded, 5, "{point:?}");
    assert_eq!(world.batches().await.len(), 1, "{point:?}: one class, one batch");
    world.stop().await;

    let world = World::start(folder.path()).await;
    let mut seen: HashMap<uuid::Uuid, Vec<u8>> = HashMap::new();
    for (topic, id, value) in world.log().await {
        // A neighbour that does its work again tells other times; what we send is the same to the byte.
        let envelope: serde_json::Value = serde_json::from_slice(&value).unwrap();
        let source = envelope.get("source_service").and_then(serde_json::Value::as_str);
        let is_ours = matches!(source, Some("batch-service" | "batch-orchestrator-service"));
        if is_ours && let Some(first) = seen.insert(id, value.clone()) {
            assert!(first == value, "{point:?}: {topic} came again with other bytes");
        }
    }
    assert!(seen.len() > PHASES.len(), "{point:?}: what is ours is recognised");
    world.stop().await;
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
    a_crash_before_the_accept_transaction_leaves_nothing_and_the_retry_makes_the_batch: BeforeAccept,
    a_crash_after_the_accept_commit_is_answered_to_the_retry_and_the_texts_are_found: Accepted,
    a_crash_after_the_content_service_answered_stores_the_text_again: TextStored,
    a_crash_before_the_wake_up_is_healed_by_the_period: BeforeWake,
    a_crash_before_publishing_leaves_the_outbox_row_for_the_next_start: BeforePublish,
    a_crash_after_publishing_repeats_no_other_bytes: Published,
    a_crash_with_messages_in_hand_gets_them_again: Polled,
    a_crash_between_the_change_and_the_position_finds_the_inbox: Consumed,
}
