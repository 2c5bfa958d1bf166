//! News of what a batch has not begun: a database restored from a backup hears it, because its neighbours are ahead of it.

use contract::{PhaseName, Verdict};
use domain::{BatchId, BatchStatus, EssayId, Phase};
use engine::News;
use engine::ports::Record;

use crate::desk::{Desk, correlation, outcome, provisioned, silent, spellchecked};

const BOTH: [Phase; 2] = [Phase::Spellcheck, Phase::Nlp];

fn essays(batch: BatchId) -> [EssayId; 2] {
    [EssayId::new(batch, 0), EssayId::new(batch, 1)]
}

fn done(batch: BatchId, phase: PhaseName) -> Record {
    outcome(batch, phase, &essays(batch), &[], correlation(batch))
}

/// Why messages are set aside, and past which revision that may have changed.
async fn aside(desk: &Desk) -> Vec<(String, Option<i64>)> {
    let letters = desk.dead_letters().await;
    letters.into_iter().map(|letter| (letter.error_code, letter.after_revision)).collect()
}

fn early(times: usize, revision: i64) -> Vec<(String, Option<i64>)> {
    vec![("too_early".to_owned(), Some(revision)); times]
}

#[tokio::test]
async fn results_that_come_before_their_phase_wait_for_it_and_then_count() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let batch = desk.registering(2, &BOTH).await;
    let first = spellchecked(essays(batch)[0], Verdict::Succeeded, correlation(batch), "");
    desk.hears(vec![silent(first), done(batch, PhaseName::Spellcheck), done(batch, PhaseName::Nlp)]).await;
    assert_eq!(aside(&desk).await, early(3, 2), "nothing of it is lost");
    assert_eq!(desk.status(batch).await.row.batch.status(), BatchStatus::PendingContent);
    assert_eq!(desk.redrive().await, 0, "nothing has changed since");

    desk.news(batch, News::Registered).await;
    // What comes again meanwhile counts at once.
    desk.redeliver().await;
    let status = desk.status(batch).await;
    assert_eq!(status.row.batch.status(), BatchStatus::CompletedSuccessfully);
    assert_eq!(desk.redrive().await, 3);
    assert_eq!(aside(&desk).await, early(0, 0));
    assert_eq!(desk.status(batch).await.row.batch, status.row.batch, "and once");
}

#[tokio::test]
async fn early_news_stays_aside_until_its_own_phase_has_begun() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let batch = desk.running(2, &BOTH).await;
    desk.hears(vec![done(batch, PhaseName::Nlp)]).await;
    assert_eq!(aside(&desk).await, early(1, 3));

    let first = spellchecked(essays(batch)[0], Verdict::Succeeded, correlation(batch), "");
    desk.hears(vec![first]).await;
    assert_eq!(desk.redrive().await, 1);
    assert_eq!(aside(&desk).await, early(1, 4), "spellcheck is still at work");
    assert_eq!(desk.redrive().await, 0);

    desk.hears(vec![done(batch, PhaseName::Spellcheck)]).await;
    assert_eq!(desk.redrive().await, 1);
    assert_eq!(aside(&desk).await, early(0, 0));
    assert_eq!(desk.status(batch).await.row.batch.status(), BatchStatus::CompletedSuccessfully);
}

#[tokio::test]
async fn a_confirmation_that_comes_while_texts_are_stored_counts_when_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let batch = desk.storing(2, &[Phase::Spellcheck]).await;
    desk.hears(vec![provisioned(batch, &essays(batch))]).await;
    assert_eq!(aside(&desk).await, early(1, 1));
    desk.texts_stored(batch, 2).await;
    assert_eq!(desk.redrive().await, 1);
    assert_eq!(aside(&desk).await, early(0, 0));
    assert_eq!(desk.status(batch).await.row.batch.current(), Some((Phase::Spellcheck, 1)));
}
