//! Deadlines and retention on a clock that the test moves.

use std::time::Duration;

use bytes::Bytes;
use contract::{PhaseName, Topic, Verdict};
use domain::{AttentionCode, BatchStatus, EssayId, Phase, PhaseStatus, WaitingCode};
use engine::{Applied, CrashPoint, Error, News, Receipt, Submission, prune, timers};
use tokio_util::sync::CancellationToken;

use crate::desk::{Desk, correlation, outcome, spellchecked};
use crate::world::{crash_at, owner, submission};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

fn looked_at(status: &store::StatusRow) -> Option<AttentionCode> {
    status.row.batch.attention.map(|attention| attention.code)
}

#[tokio::test]
async fn a_phase_that_stays_silent_needs_attention_until_it_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let batch = desk.running(2, &[Phase::Spellcheck]).await;
    desk.passes((5 * MINUTE).checked_sub(SECOND).unwrap()).await;
    assert_eq!(looked_at(&desk.status(batch).await), None);
    desk.passes(SECOND).await;
    let status = desk.status(batch).await;
    assert_eq!(looked_at(&status), Some(AttentionCode::NoSignOfLife));
    assert_eq!(status.row.batch.status(), BatchStatus::Processing, "it needs attention; it does not die");

    let first = EssayId::new(batch, 0);
    desk.hears(vec![spellchecked(first, Verdict::Succeeded, correlation(batch), "")]).await;
    assert_eq!(looked_at(&desk.status(batch).await), None);
}

#[tokio::test]
async fn a_phase_that_takes_too_long_ends_and_its_open_essays_fail() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let batch = desk.running(3, &[Phase::Spellcheck]).await;
    let first = EssayId::new(batch, 0);
    desk.hears(vec![spellchecked(first, Verdict::Succeeded, correlation(batch), "")]).await;
    desk.passes((30 * MINUTE).checked_sub(SECOND).unwrap()).await;
    assert_eq!(desk.status(batch).await.row.batch.status(), BatchStatus::Processing);
    desk.passes(SECOND).await;
    let status = desk.status(batch).await;
    assert_eq!(status.row.batch.status(), BatchStatus::CompletedWithFailures);
    assert_eq!((status.counts.succeeded, status.counts.failed), (1, 2));
    let record = status.row.batch.record(Phase::Spellcheck).unwrap();
    assert_eq!(record.error_code.map(domain::FailureCode::as_str), Some("phase_timeout"));
    assert_eq!(desk.sent(Topic::BatchPipelineCompleted).await, 1);
}

#[tokio::test]
async fn an_outcome_that_never_comes_is_missed_after_the_grace_and_the_news_stands() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let batch = desk.running(2, &[Phase::Spellcheck]).await;
    let word = |n, verdict| spellchecked(EssayId::new(batch, n), verdict, correlation(batch), "");
    desk.hears(vec![word(0, Verdict::Succeeded), word(1, Verdict::Failed)]).await;
    let waits_for = desk.status(batch).await.row.batch.waiting_on.map(|waiting_on| waiting_on.code);
    assert_eq!(waits_for, Some(WaitingCode::Outcome));
    desk.passes(29 * SECOND).await;
    assert_eq!(desk.status(batch).await.row.batch.status(), BatchStatus::Processing);
    desk.passes(SECOND).await;
    let status = desk.status(batch).await;
    assert_eq!(status.row.batch.status(), BatchStatus::CompletedWithFailures);
    let record = status.row.batch.record(Phase::Spellcheck).unwrap();
    assert!(record.outcome_missing);
    assert_eq!(record.status, PhaseStatus::CompletedWithPartialSuccess);
}

#[tokio::test]
async fn a_registration_that_is_never_confirmed_needs_attention_and_then_ends_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path()).await;
    let batch = desk.registering(2, &[Phase::Spellcheck]).await;
    desk.passes(5 * MINUTE).await;
    let status = desk.status(batch).await;
    assert_eq!(looked_at(&status), Some(AttentionCode::RegistrationOverdue));
    assert_eq!(status.row.batch.status(), BatchStatus::PendingContent);
    desk.passes(30 * MINUTE).await;
    let status = desk.status(batch).await;
    assert_eq!(looked_at(&status), Some(AttentionCode::RegistrationTimeout));
    assert_eq!(status.row.batch.status(), BatchStatus::Failed);
    assert_eq!(desk.news(batch, News::Registered).await, Applied::Unchanged, "it comes too late");
}

/// Two processes may believe for a moment that a shard is theirs: one that was frozen past its lease goes on where it was.
#[tokio::test]
async fn a_deadline_that_two_processes_have_read_fires_once_and_leaves_the_next_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path()).await;
    let batch = desk.registering(2, &[Phase::Spellcheck]).await;
    desk.clock.advance(5 * MINUTE);
    let due = desk.engine.store().read(|tx| {
        Box::pin(async move { Ok::<_, Error>(tx.due_timers(&[0], tx.now(), 1).await?.remove(0)) })
    });
    let due = due.await.unwrap();
    assert!(matches!(desk.news(batch, News::DeadlinePassed(due.clone())).await, Applied::Changed { .. }));
    assert_eq!(desk.news(batch, News::DeadlinePassed(due)).await, Applied::Unchanged);
    desk.passes(30 * MINUTE).await;
    assert_eq!(
        desk.status(batch).await.row.batch.status(),
        BatchStatus::Failed,
        "the next deadline was kept"
    );
}

#[tokio::test]
async fn of_a_deadline_and_an_outcome_at_the_same_moment_the_first_stands_and_the_other_is_late() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    for deadline_first in [true, false] {
        let batch = desk.running(2, &[Phase::Spellcheck]).await;
        let essays = [EssayId::new(batch, 0), EssayId::new(batch, 1)];
        desk.clock.advance(30 * MINUTE);
        if deadline_first {
            timers::fire(&desk.engine, &[0]).await.unwrap();
        }
        desk.hears(vec![outcome(batch, PhaseName::Spellcheck, &essays, &[], correlation(batch))]).await;
        timers::fire(&desk.engine, &[0]).await.unwrap();
        let status = desk.status(batch).await;
        let expected = if deadline_first { (0, 2) } else { (2, 0) };
        assert_eq!((status.counts.succeeded, status.counts.failed), expected);
        assert!(status.row.batch.is_ended());
    }
    assert_eq!(desk.sent(Topic::BatchPipelineCompleted).await, 2, "each run has ended once");
}

#[tokio::test]
async fn a_crash_when_a_timer_fires_fires_it_again_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let noon = Desk::open(folder.path()).await;
    let batch = noon.running(2, &[Phase::Spellcheck]).await;
    noon.clock.advance(30 * MINUTE);
    let at = engine::ports::Clock::now(noon.clock.as_ref());
    noon.close().await;

    let died = CancellationToken::new();
    let doomed = Desk::open_at(folder.path(), at, crash_at(CrashPoint::TimerFired, died.clone())).await;
    assert!(timers::fire(&doomed.engine, &[0]).await.is_err());
    assert!(died.is_cancelled());
    assert_eq!(doomed.status(batch).await.row.batch.status(), BatchStatus::Processing);
    doomed.close().await;

    let desk = Desk::open_at(folder.path(), at, engine::Crash::default()).await;
    timers::fire(&desk.engine, &[0]).await.unwrap();
    let ended = desk.status(batch).await;
    assert_eq!(ended.row.batch.status(), BatchStatus::Failed);
    timers::fire(&desk.engine, &[0]).await.unwrap();
    assert_eq!(desk.status(batch).await.row.batch.revision, ended.row.batch.revision);
    assert_eq!(desk.sent(Topic::BatchPipelineCompleted).await, 1);
}

#[tokio::test]
async fn an_ended_batch_is_pruned_after_its_time_and_a_live_one_never() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let live = desk.running(1, &[Phase::Spellcheck]).await;
    let ended = desk.running(1, &[Phase::Spellcheck]).await;
    let essays = [EssayId::new(ended, 0)];
    desk.hears(vec![outcome(ended, PhaseName::Spellcheck, &essays, &[], correlation(ended))]).await;
    assert!(desk.status(ended).await.row.batch.is_ended());

    desk.clock.advance(90 * DAY);
    prune::sweep(&desk.engine).await.unwrap();
    assert!(desk.find(ended).await.is_some(), "it is kept for 90 days");
    desk.clock.advance(SECOND);
    prune::sweep(&desk.engine).await.unwrap();
    assert!(desk.find(ended).await.is_none());
    desk.clock.advance(900 * DAY);
    prune::sweep(&desk.engine).await.unwrap();
    assert!(desk.find(live).await.is_some(), "age alone prunes nothing");
    assert_eq!(desk.status(live).await.counts.in_progress, 1);
}

#[tokio::test]
async fn the_log_keeps_what_a_reader_has_not_passed_however_old_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path()).await;
    let batch = desk.running(1, &[Phase::Spellcheck]).await;
    let word = spellchecked(EssayId::new(batch, 0), Verdict::Succeeded, correlation(batch), "");
    desk.hears(vec![word]).await;
    desk.clock.advance(8 * DAY);
    // The position is handed in; it is written with the next turn of the relay.
    prune::sweep(&desk.engine).await.unwrap();
    assert_eq!(desk.sent(Topic::SpellcheckPhaseCompleted).await, 1, "no position is written yet");
    prune::sweep(&desk.engine).await.unwrap();
    assert_eq!(desk.sent(Topic::SpellcheckPhaseCompleted).await, 0);
}

#[tokio::test]
async fn a_key_stands_for_its_batch_for_a_day_and_is_free_again_after_that() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path()).await;
    let submit = async |text: &'static str| {
        let key = desk.engine.key(&owner(), "POST /v1/batch", "k", "text/plain", text.as_bytes());
        let id = desk.engine.new_batch_id(Some(&key)).unwrap();
        let one = std::iter::once(Bytes::from_static(text.as_bytes()));
        desk.engine.submit(Submission { key: Some(key), ..submission(id, one) }).await
    };
    assert!(matches!(submit("One.").await, Ok(Receipt::Fresh(_))));
    desk.clock.advance(DAY);
    prune::sweep(&desk.engine).await.unwrap();
    assert!(matches!(submit("One.").await, Ok(Receipt::Replayed(_))), "it is kept for a day");
    assert!(matches!(submit("Two.").await, Err(Error::KeyReused)));
    desk.clock.advance(SECOND);
    prune::sweep(&desk.engine).await.unwrap();
    assert!(matches!(submit("Two.").await, Ok(Receipt::Fresh(_))));
}
