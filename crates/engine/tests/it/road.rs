//! What a class lives through when nothing goes wrong.

use domain::{BatchStatus, Phase};
use engine::{Error, Receipt};

use crate::world::{World, batch_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_class_goes_through_both_phases_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path()).await;
    let receipt = world.submit(30, &[Phase::Spellcheck, Phase::Nlp], None).await.unwrap();
    let status = world.ended(batch_of(&receipt)).await;
    assert_eq!(status.row.batch.status(), BatchStatus::CompletedSuccessfully);
    assert_eq!(status.counts.succeeded, 30);
    let mut ended: Vec<_> = status.attempts.iter().map(|a| (a.phase, a.attempt, a.succeeded)).collect();
    ended.sort();
    assert_eq!(ended, [(Phase::Spellcheck, 1, 30), (Phase::Nlp, 1, 30)]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_about_a_class_is_published_once_and_in_the_batch_s_name() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path()).await;
    let batch = batch_of(&world.submit(3, &[Phase::Spellcheck], None).await.unwrap());
    world.ended(batch).await;
    world.stop().await;
    let world = World::start(folder.path()).await;
    let log = world.log().await;
    let count = |topic: &str| log.iter().filter(|(name, ..)| name == topic).count();
    assert_eq!(count("huleedu.batch.essays.registered.v1"), 1);
    assert_eq!(count("huleedu.file.essay.content.provisioned.v1"), 3);
    assert_eq!(count("huleedu.els.spellcheck.initiate.command.v1"), 1);
    assert_eq!(count("huleedu.batch.pipeline.completed.v1"), 1);
    let mut ids: Vec<_> = log.iter().map(|(_, id, _)| *id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), log.len(), "no event is on the log twice");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_and_request_get_the_same_answer_and_make_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path()).await;
    let first = world.submit(2, &[], Some("k-1")).await.unwrap();
    let again = world.submit(2, &[], Some("k-1")).await.unwrap();
    assert!(matches!(again, Receipt::Replayed(_)));
    assert_eq!(batch_of(&first), batch_of(&again));
    assert!(matches!(world.submit(3, &[], Some("k-1")).await, Err(Error::KeyReused)));
    assert_eq!(world.batches().await.len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phase_that_nobody_serves_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path()).await;
    let refused = world.submit(2, &[Phase::CjAssessment], Some("k-2")).await;
    assert!(matches!(refused, Err(Error::Refused(refusal)) if refusal.code() == "phase_not_served"));
    assert!(world.batches().await.is_empty());
    assert!(matches!(world.submit(2, &[Phase::Spellcheck], Some("k-2")).await, Ok(Receipt::Fresh(_))));
    world.stop().await;
}
