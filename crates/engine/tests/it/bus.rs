//! What the consumer makes of messages that are late, repeated, foreign, contradicting or nonsense.

use std::sync::Arc;
use std::time::Duration;

use contract::{PhaseName, Topic, Verdict};
use domain::{BatchId, BatchStatus, CancelMode, EssayId, FailureCode, Phase};
use engine::consumer;
use engine::ports::{Delivery, Record};
use engine::{Applied, CrashPoint, Dealt, News, prune, timers};
use tokio_util::sync::CancellationToken;

use crate::desk::{Desk, correlation, noon, outcome, raw, said_of, silent, spellchecked};
use crate::world::{crash_at, owner};

/// A class that was abandoned after its first essay and started again: that essay is the one at work now.
async fn at_a_second_attempt(desk: &mut Desk) -> (BatchId, EssayId) {
    let batch = desk.running(2, &[Phase::Spellcheck]).await;
    let essay = EssayId::new(batch, 0);
    desk.hears(vec![spellchecked(essay, Verdict::Succeeded, correlation(batch), "")]).await;
    desk.news(batch, News::Cancel(CancelMode::Abandon)).await;
    desk.news(batch, News::StartRequested { phases: vec![Phase::Spellcheck] }).await;
    (batch, essay)
}

#[tokio::test]
async fn news_of_an_older_attempt_ends_no_essay_of_the_one_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let (batch, essay) = at_a_second_attempt(&mut desk).await;
    let own = correlation(batch);
    let status = desk.status(batch).await;
    assert_eq!(status.row.batch.current(), Some((Phase::Spellcheck, 2)));

    desk.hears(vec![
        spellchecked(essay, Verdict::Failed, own, "late"),
        outcome(batch, PhaseName::Spellcheck, &[], &[essay], own),
    ])
    .await;
    let status = desk.status(batch).await;
    assert_eq!(status.row.batch.current(), Some((Phase::Spellcheck, 2)));
    assert_eq!(status.counts.in_progress, 1, "the attempt at work goes on");
    assert!(desk.dead_letters().await.is_empty(), "late is not impossible");

    let second = own.for_attempt(2, Phase::Spellcheck, 2);
    desk.hears(vec![outcome(batch, PhaseName::Spellcheck, &[essay], &[], second)]).await;
    assert_eq!(desk.status(batch).await.counts.succeeded, 1);
}

#[tokio::test]
async fn a_worker_that_echoes_nothing_speaks_of_the_attempt_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let (batch, essay) = at_a_second_attempt(&mut desk).await;
    let own = correlation(batch);
    desk.hears(vec![silent(spellchecked(essay, Verdict::Succeeded, own, "silent"))]).await;
    let status = desk.status(batch).await;
    assert_eq!((status.counts.in_progress, status.counts.succeeded), (0, 1));
}

#[tokio::test]
async fn the_first_word_on_an_essay_stands_against_a_contradiction() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let batch = desk.running(2, &[Phase::Spellcheck]).await;
    let essay = EssayId::new(batch, 0);
    let word = |verdict, part| spellchecked(essay, verdict, correlation(batch), part);
    desk.hears(vec![word(Verdict::Succeeded, "first")]).await;
    let first = desk.status(batch).await;
    desk.hears(vec![word(Verdict::Failed, "second")]).await;
    let status = desk.status(batch).await;
    assert_eq!((status.counts.in_progress, status.counts.failed), (1, 0));
    assert_eq!(status.row.batch, first.row.batch);
}

/// The rules fail the essays that an outcome leaves out, and the phase shows why; the essays that it names as failed keep the
/// code of that.
#[tokio::test]
async fn an_essay_that_the_outcome_does_not_name_fails_as_not_in_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let batch = desk.running(3, &[Phase::Spellcheck, Phase::Nlp]).await;
    let essays = [0, 1, 2].map(|n| EssayId::new(batch, n));
    let [named, failed, _] = essays;
    desk.hears(vec![outcome(batch, PhaseName::Spellcheck, &[named], &[failed], correlation(batch))]).await;

    let status = desk.status(batch).await;
    let record = status.row.batch.record(Phase::Spellcheck).unwrap();
    assert_eq!((record.succeeded, record.failed), (1, 2));
    assert_eq!(record.error_code, Some(FailureCode::NotInOutcome));
    assert_eq!(status.row.batch.current(), Some((Phase::Nlp, 1)), "the essay that succeeded goes on");
    let mut codes = Vec::new();
    for essay in essays {
        let detail = desk
            .engine
            .store()
            .read(move |tx| Box::pin(async move { tx.essay_detail(&owner(), essay).await }))
            .await
            .unwrap()
            .unwrap();
        codes.push(detail.phases.iter().find_map(|phase| phase.error_code.clone()));
    }
    assert_eq!(codes, [None, Some("phase_failed".to_owned()), Some("not_in_outcome".to_owned())]);
}

#[tokio::test]
async fn a_redelivered_message_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let batch = desk.running(2, &[Phase::Spellcheck]).await;
    let word = || spellchecked(EssayId::new(batch, 0), Verdict::Succeeded, correlation(batch), "");
    desk.hears((0..100).map(|_| word()).collect()).await;
    let once = desk.status(batch).await;
    assert_eq!(once.counts.in_progress, 1);
    desk.redeliver().await;
    assert_eq!(desk.status(batch).await.row.batch, once.row.batch);

    // Also when the inbox has forgotten it: then the essay's own row tells.
    desk.clock.advance(Duration::from_hours(15 * 24));
    prune::sweep(&desk.engine).await.unwrap();
    desk.redeliver().await;
    assert_eq!(desk.status(batch).await.row.batch, once.row.batch);
}

#[tokio::test]
async fn what_cannot_be_understood_is_set_aside_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let batch = desk.running(1, &[Phase::Spellcheck]).await;
    let topic = Topic::BatchPhaseOutcome;
    let deep = "[".repeat(100_000);
    let huge = format!("{{\"data\": \"{}\"}}", "x".repeat(5 << 20));
    desk.hears(vec![
        raw(topic, 1, b""),
        raw(topic, 2, b"{\"data\": "),
        raw(topic, 3, b"\xff\xfe{}"),
        raw(topic, 4, b"{\"data\": {\"batch_id\": 7}}"),
        raw(topic, 5, deep.as_bytes()),
        raw(topic, 6, huge.as_bytes()),
        outcome(batch, PhaseName::Spellcheck, &[EssayId::new(batch, 0)], &[], correlation(batch)),
    ])
    .await;
    // What is handed out at once is bounded, so the rest may come with the next turn.
    while !desk.status(batch).await.row.batch.is_ended() {
        desk.listen().await.unwrap();
    }
    let letters = desk.dead_letters().await;
    assert_eq!(letters.len(), 6, "{letters:?}");
    let mut places: Vec<_> = letters.iter().map(|letter| letter.offset).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 6);
    assert!(letters.iter().all(|letter| letter.value_sha256.len() == 32 && !letter.error_code.is_empty()));
}

#[tokio::test]
async fn a_dead_letter_is_written_once_however_often_its_message_comes() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    desk.hears(vec![raw(Topic::BatchPhaseOutcome, 1, b"nonsense")]).await;
    let first = desk.dead_letters().await;
    assert_eq!(first.len(), 1);
    for _ in 0..5 {
        desk.redeliver().await;
    }
    assert_eq!(desk.dead_letters().await, first);
}

#[tokio::test]
async fn a_crash_between_the_dead_letter_and_the_position_finds_the_row_again() {
    let folder = tempfile::tempdir().unwrap();
    let died = CancellationToken::new();
    let crash = crash_at(CrashPoint::SetAside, died.clone());
    let mut doomed = Desk::open_at(folder.path(), noon(), crash).await;
    doomed.say(vec![raw(Topic::BatchPhaseOutcome, 1, b"nonsense")]).await;
    assert!(doomed.listen().await.is_err());
    assert!(died.is_cancelled());
    let written = doomed.dead_letters().await;
    assert_eq!(written.len(), 1);
    doomed.close().await;

    let mut desk = Desk::open_at(folder.path(), noon(), engine::Crash::default()).await;
    desk.listen().await.unwrap();
    assert_eq!(desk.dead_letters().await, written);
}

#[tokio::test]
async fn news_about_somebody_elses_batch_leaves_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let theirs = desk.engine.new_batch_id(None).unwrap();
    let essay = EssayId::new(theirs, 0);
    let other = uuid::Uuid::from_u128(7);
    desk.hears(vec![
        spellchecked(essay, Verdict::Succeeded, correlation(theirs), ""),
        said_of(essay, other, Verdict::Succeeded, correlation(theirs), "elsewhere"),
        outcome(theirs, PhaseName::Spellcheck, &[essay], &[], correlation(theirs)),
    ])
    .await;
    assert!(desk.find(theirs).await.is_none());
    assert!(desk.dead_letters().await.is_empty(), "it is no fault that others have batches");
}

#[tokio::test]
async fn an_essay_of_ours_with_a_batch_that_is_not_its_own_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let batch = desk.running(1, &[Phase::Spellcheck]).await;
    let other = desk.running(1, &[Phase::Spellcheck]).await;
    let essay = EssayId::new(batch, 0);
    let said = said_of(essay, other.as_uuid(), Verdict::Failed, correlation(batch), "");
    desk.hears(vec![said]).await;
    assert_eq!(desk.status(batch).await.counts.in_progress, 1);
    assert_eq!(desk.status(other).await.counts.in_progress, 1);
    let codes: Vec<_> = desk.dead_letters().await.into_iter().map(|letter| letter.error_code).collect();
    assert_eq!(codes, ["batch_contradicted"]);
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let broken = desk.running(1, &[Phase::Spellcheck]).await;
    let sound = desk.running(1, &[Phase::Spellcheck]).await;
    desk.spoil(broken);
    let done =
        |batch| outcome(batch, PhaseName::Spellcheck, &[EssayId::new(batch, 0)], &[], correlation(batch));
    desk.say(vec![done(broken), done(sound)]).await;
    // It is tried several times, so time must pass.
    let clock = Arc::clone(&desk.clock);
    let passing = async {
        loop {
            clock.advance(Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        heard = desk.listen() => heard.unwrap(),
        () = passing => {}
    }
    assert_eq!(desk.status(sound).await.row.batch.status(), BatchStatus::CompletedSuccessfully);
    let codes: Vec<_> = desk.dead_letters().await.into_iter().map(|letter| letter.error_code).collect();
    assert_eq!(codes, ["not_applicable"]);

    // Its deadlines hold up nobody else's either.
    let third = desk.running(1, &[Phase::Spellcheck]).await;
    desk.clock.advance(Duration::from_mins(30));
    assert!(timers::fire(&desk.engine, &[0]).await.is_err());
    assert_eq!(desk.status(third).await.row.batch.status(), BatchStatus::Failed);
}

#[tokio::test]
async fn a_message_dealt_with_once_more_is_applied_then_a_duplicate_and_nonsense_stays_nonsense() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path()).await;
    let batch = desk.running(1, &[Phase::Spellcheck]).await;
    let delivery = |record: Record| Delivery {
        topic: record.topic,
        partition: 0,
        offset: 99,
        key: record.key,
        value: record.value.into(),
        trace: None,
    };
    let message = delivery(spellchecked(EssayId::new(batch, 0), Verdict::Succeeded, correlation(batch), ""));
    let dealt = consumer::replay(&desk.engine, message.clone()).await.unwrap();
    assert!(matches!(dealt, Dealt::Applied(Applied::Changed { .. })), "{dealt:?}");
    assert_eq!(desk.status(batch).await.counts.succeeded, 1);
    let dealt = consumer::replay(&desk.engine, message).await.unwrap();
    assert_eq!(dealt, Dealt::Applied(Applied::Duplicate));
    let nonsense = delivery(raw(Topic::BatchPhaseOutcome, 1, b"{"));
    let dealt = consumer::replay(&desk.engine, nonsense).await.unwrap();
    assert!(matches!(dealt, Dealt::Unusable(_)), "{dealt:?}");
    assert!(desk.dead_letters().await.is_empty(), "whoever replays has the dead letter already");
}
