//! A class without any fault, and the Idempotency-Key.

use domain::{BatchStatus, Phase};
use engine::{Error, Receipt};

use crate::installation::{Installation, batch_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_class_goes_through_both_phases_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let installation = Installation::start(folder.path()).await;
    let receipt = installation.submit(30, &[Phase::Spellcheck, Phase::Nlp], None).await.unwrap();
    let status = installation.ended(batch_of(&receipt)).await;
    assert_eq!(status.row.batch.status(), BatchStatus::CompletedSuccessfully);
    assert_eq!(status.counts.succeeded, 30);
    let mut ended: Vec<_> = status.attempts.iter().map(|a| (a.phase, a.attempt, a.succeeded)).collect();
    ended.sort();
    assert_eq!(ended, [(Phase::Spellcheck, 1, 30), (Phase::Nlp, 1, 30)]);
    installation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_a_class_is_published_once() {
    let folder = tempfile::tempdir().unwrap();
    let installation = Installation::start(folder.path()).await;
    let batch = batch_of(&installation.submit(3, &[Phase::Spellcheck], None).await.unwrap());
    installation.ended(batch).await;
    installation.stop().await;
    let installation = Installation::start(folder.path()).await;
    let log = installation.log().await;
    let count = |topic: &str| log.iter().filter(|(name, ..)| name == topic).count();
    assert_eq!(count("huleedu.batch.essays.registered.v1"), 1);
    assert_eq!(count("huleedu.file.essay.content.provisioned.v1"), 3);
    assert_eq!(count("huleedu.els.spellcheck.initiate.command.v1"), 1);
    assert_eq!(count("huleedu.batch.pipeline.completed.v1"), 1);
    let mut ids: Vec<_> = log.iter().map(|(_, id, _)| *id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), log.len(), "no event is on the log twice");
    installation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_repeated_with_its_key_gets_the_same_answer_and_makes_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let installation = Installation::start(folder.path()).await;
    let first = installation.submit(2, &[], Some("k-1")).await.unwrap();
    let again = installation.submit(2, &[], Some("k-1")).await.unwrap();
    assert!(matches!(again, Receipt::Replayed(_)));
    assert_eq!(batch_of(&first), batch_of(&again));
    assert!(matches!(installation.submit(3, &[], Some("k-1")).await, Err(Error::KeyReused)));
    assert_eq!(installation.batches().await.len(), 1);
    installation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phase_that_is_not_served_is_refused_and_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let installation = Installation::start(folder.path()).await;
    let refused = installation.submit(2, &[Phase::CjAssessment], Some("k-2")).await;
    assert!(matches!(refused, Err(Error::Refused(refusal)) if refusal.code() == "phase_not_served"));
    assert!(installation.batches().await.is_empty());
    assert!(matches!(installation.submit(2, &[Phase::Spellcheck], Some("k-2")).await, Ok(Receipt::Fresh(_))));
    installation.stop().await;
}
