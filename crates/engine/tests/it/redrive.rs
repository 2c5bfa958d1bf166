//! Messages about phases that a batch has not started. They occur after a restore from a backup, when other services are ahead of
//! the database.

use contract::{PhaseName, Verdict};
use domain::{BatchId, BatchStatus, EssayId, Phase};
use engine::News;
use engine::ports::Record;

use crate::manual_engine::{
    ManualEngine, correlation, outcome, provisioned, spellchecked, without_correlation,
};

const BOTH: [Phase; 2] = [Phase::Spellcheck, Phase::Nlp];

fn essays(batch: BatchId) -> [EssayId; 2] {
    [EssayId::new(batch, 0), EssayId::new(batch, 1)]
}

fn done(batch: BatchId, phase: PhaseName) -> Record {
    outcome(batch, phase, &essays(batch), &[], correlation(batch))
}

/// The codes of the dead letters, and the revisions after which they are retried.
async fn dead_letters(manual: &ManualEngine) -> Vec<(String, Option<i64>)> {
    let letters = manual.dead_letters().await;
    letters.into_iter().map(|letter| (letter.error_code, letter.after_revision)).collect()
}

fn early(times: usize, revision: i64) -> Vec<(String, Option<i64>)> {
    vec![("too_early".to_owned(), Some(revision)); times]
}

#[tokio::test]
async fn results_that_come_before_their_phase_are_applied_once_it_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.registering_batch(2, &BOTH).await;
    let first = spellchecked(essays(batch)[0], Verdict::Succeeded, correlation(batch), "");
    manual
        .deliver(vec![
            without_correlation(first),
            done(batch, PhaseName::Spellcheck),
            done(batch, PhaseName::Nlp),
        ])
        .await;
    assert_eq!(dead_letters(&manual).await, early(3, 2), "every message has a dead letter");
    assert_eq!(manual.status(batch).await.row.batch.status(), BatchStatus::PendingContent);
    assert_eq!(manual.redrive().await, 0, "the batch has not changed since");

    manual.apply(batch, News::Registered).await;
    // A redelivery in the meantime is applied at once.
    manual.redeliver().await;
    let status = manual.status(batch).await;
    assert_eq!(status.row.batch.status(), BatchStatus::CompletedSuccessfully);
    assert_eq!(manual.redrive().await, 3);
    assert_eq!(dead_letters(&manual).await, early(0, 0));
    assert_eq!(manual.status(batch).await.row.batch, status.row.batch, "each was applied once");
}

#[tokio::test]
async fn an_early_message_keeps_its_dead_letter_until_its_own_phase_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(2, &BOTH).await;
    manual.deliver(vec![done(batch, PhaseName::Nlp)]).await;
    assert_eq!(dead_letters(&manual).await, early(1, 3));

    let first = spellchecked(essays(batch)[0], Verdict::Succeeded, correlation(batch), "");
    manual.deliver(vec![first]).await;
    assert_eq!(manual.redrive().await, 1);
    assert_eq!(dead_letters(&manual).await, early(1, 4), "spellcheck is still running");
    assert_eq!(manual.redrive().await, 0);

    manual.deliver(vec![done(batch, PhaseName::Spellcheck)]).await;
    assert_eq!(manual.redrive().await, 1);
    assert_eq!(dead_letters(&manual).await, early(0, 0));
    assert_eq!(manual.status(batch).await.row.batch.status(), BatchStatus::CompletedSuccessfully);
}

#[tokio::test]
async fn a_confirmation_that_comes_while_texts_are_stored_is_applied_when_all_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.storing_batch(2, &[Phase::Spellcheck]).await;
    manual.deliver(vec![provisioned(batch, &essays(batch))]).await;
    assert_eq!(dead_letters(&manual).await, early(1, 1));
    manual.texts_stored(batch, 2).await;
    assert_eq!(manual.redrive().await, 1);
    assert_eq!(dead_letters(&manual).await, early(0, 0));
    assert_eq!(manual.status(batch).await.row.batch.current(), Some((Phase::Spellcheck, 1)));
}
