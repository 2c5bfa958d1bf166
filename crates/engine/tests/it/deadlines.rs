//! Deadlines and retention, on a clock that the test advances.

use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use contract::{PhaseName, Topic, Verdict};
use domain::{AttentionCode, BatchStatus, EssayId, Phase, PhaseStatus, WaitingCode};
use engine::timers::{self, TimersState};
use engine::{Applied, CrashPoint, Error, News, Receipt, Submission, prune};
use store::LowWaterMark;
use tokio_util::sync::CancellationToken;

use crate::installation::{crash_at, owner, submission};
use crate::manual_engine::{ManualEngine, correlation, outcome, spellchecked, start_time};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

fn attention(status: &store::StatusRow) -> Option<AttentionCode> {
    status.row.batch.attention.map(|attention| attention.code)
}

#[tokio::test]
async fn a_phase_without_reports_needs_attention_until_one_comes() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(2, &[Phase::Spellcheck]).await;
    manual.advance((5 * MINUTE).checked_sub(SECOND).unwrap()).await;
    assert_eq!(attention(&manual.status(batch).await), None);
    manual.advance(SECOND).await;
    let status = manual.status(batch).await;
    assert_eq!(attention(&status), Some(AttentionCode::NoSignOfLife));
    assert_eq!(status.row.batch.status(), BatchStatus::Processing, "it needs attention; it does not end");

    let first = EssayId::new(batch, 0);
    manual.deliver(vec![spellchecked(first, Verdict::Succeeded, correlation(batch), "")]).await;
    assert_eq!(attention(&manual.status(batch).await), None);
}

#[tokio::test]
async fn a_phase_that_takes_too_long_ends_and_its_open_essays_fail() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(3, &[Phase::Spellcheck]).await;
    let first = EssayId::new(batch, 0);
    manual.deliver(vec![spellchecked(first, Verdict::Succeeded, correlation(batch), "")]).await;
    manual.advance((30 * MINUTE).checked_sub(SECOND).unwrap()).await;
    assert_eq!(manual.status(batch).await.row.batch.status(), BatchStatus::Processing);
    manual.advance(SECOND).await;
    let status = manual.status(batch).await;
    assert_eq!(status.row.batch.status(), BatchStatus::CompletedWithFailures);
    assert_eq!((status.counts.succeeded, status.counts.failed), (1, 2));
    let record = status.row.batch.record(Phase::Spellcheck).unwrap();
    assert_eq!(record.error_code.map(domain::FailureCode::as_str), Some("phase_timeout"));
    assert_eq!(manual.published(Topic::BatchPipelineCompleted).await, 1);
}

#[tokio::test]
async fn an_outcome_that_never_comes_is_missing_after_the_time_of_the_last_phase_and_the_reports_count() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(2, &[Phase::Spellcheck]).await;
    let word = |n, verdict| spellchecked(EssayId::new(batch, n), verdict, correlation(batch), "");
    manual.deliver(vec![word(0, Verdict::Succeeded), word(1, Verdict::Failed)]).await;
    let waits_for = manual.status(batch).await.row.batch.waiting_on.map(|waiting_on| waiting_on.code);
    assert_eq!(waits_for, Some(WaitingCode::Outcome));
    manual.advance((30 * MINUTE).checked_sub(SECOND).unwrap()).await;
    assert_eq!(manual.status(batch).await.row.batch.status(), BatchStatus::Processing);
    manual.advance(SECOND).await;
    let status = manual.status(batch).await;
    assert_eq!(status.row.batch.status(), BatchStatus::CompletedWithFailures);
    let record = status.row.batch.record(Phase::Spellcheck).unwrap();
    assert!(record.outcome_missing);
    assert_eq!(record.status, PhaseStatus::CompletedWithPartialSuccess);
}

#[tokio::test]
async fn an_outcome_that_never_comes_holds_the_next_phase_back_until_the_batch_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(2, &[Phase::Spellcheck, Phase::Nlp]).await;
    let word = |n| spellchecked(EssayId::new(batch, n), Verdict::Succeeded, correlation(batch), "");
    manual.deliver(vec![word(0), word(1)]).await;
    // Longer than the grace, and than the 44 s that outcomes were seen to be late on a busy platform.
    manual.advance(MINUTE).await;
    assert_eq!(manual.status(batch).await.row.batch.current(), Some((Phase::Spellcheck, 1)));
    manual.advance(30 * MINUTE).await;
    let status = manual.status(batch).await;
    assert_eq!(attention(&status), Some(AttentionCode::OutcomeOverdue));
    assert_eq!(manual.published(Topic::NlpInitiateV2).await, 0, "the command could come too early");
    manual.apply(batch, News::Resume).await;
    let status = manual.status(batch).await;
    assert_eq!((status.row.batch.current(), attention(&status)), (Some((Phase::Nlp, 1)), None));
    assert_eq!(manual.published(Topic::NlpInitiateV2).await, 1);
}

#[tokio::test]
async fn a_registration_that_is_never_confirmed_needs_attention_and_then_ends_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let manual = ManualEngine::open(folder.path()).await;
    let batch = manual.registering_batch(2, &[Phase::Spellcheck]).await;
    manual.advance(5 * MINUTE).await;
    let status = manual.status(batch).await;
    assert_eq!(attention(&status), Some(AttentionCode::RegistrationOverdue));
    assert_eq!(status.row.batch.status(), BatchStatus::PendingContent);
    manual.advance(30 * MINUTE).await;
    let status = manual.status(batch).await;
    assert_eq!(attention(&status), Some(AttentionCode::RegistrationTimeout));
    assert_eq!(status.row.batch.status(), BatchStatus::Failed);
    assert_eq!(manual.apply(batch, News::Registered).await, Applied::Unchanged, "it comes too late");
}

/// Two processes may work a shard for a moment: one that was frozen past the end of its lease goes on where it was.
#[tokio::test]
async fn a_deadline_that_two_processes_have_read_fires_once_and_leaves_the_next_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let manual = ManualEngine::open(folder.path()).await;
    let batch = manual.registering_batch(2, &[Phase::Spellcheck]).await;
    manual.clock.advance(5 * MINUTE);
    let due = manual.engine.store().read(|tx| {
        Box::pin(async move {
            let from = [LowWaterMark { shard: 0, low: DateTime::UNIX_EPOCH }];
            Ok::<_, Error>(tx.due_timers(&from, tx.now(), store::FiredBy::Any, 1).await?.remove(0))
        })
    });
    let due = due.await.unwrap();
    assert!(matches!(manual.apply(batch, News::DeadlinePassed(due.clone())).await, Applied::Changed { .. }));
    assert_eq!(manual.apply(batch, News::DeadlinePassed(due)).await, Applied::Unchanged);
    manual.advance(30 * MINUTE).await;
    assert_eq!(
        manual.status(batch).await.row.batch.status(),
        BatchStatus::Failed,
        "the next deadline was kept"
    );
}

/// A row that an operator writes by hand is such a deadline, and one that a process has set before the database's clock was put back.
#[tokio::test]
async fn a_deadline_that_appears_below_the_low_water_mark_fires_within_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let manual = ManualEngine::open(folder.path()).await;
    let batch = manual.registering_batch(2, &[Phase::Spellcheck]).await;
    let mut state = TimersState::default();
    let mut fire = async || timers::fire(&manual.engine, &[0], &mut state).await.unwrap();
    assert_eq!(fire().await, 0);

    manual.set_due_times("2020-01-01T00:00:00.000000Z");
    assert_eq!(fire().await, 0, "it is below the mark");
    manual.clock.advance(MINUTE);
    assert_eq!(fire().await, 1);
    assert_eq!(attention(&manual.status(batch).await), Some(AttentionCode::RegistrationOverdue));
}

#[tokio::test]
async fn a_deadline_that_becomes_due_after_the_mark_was_set_fires_at_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let manual = ManualEngine::open(folder.path()).await;
    manual.registering_batch(2, &[Phase::Spellcheck]).await;
    let mut state = TimersState::default();
    let mut fired = Vec::new();
    for _ in 0..11 {
        fired.push(timers::fire(&manual.engine, &[0], &mut state).await.unwrap());
        manual.clock.advance(30 * SECOND);
    }
    assert_eq!(fired, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "at five minutes");
}

#[tokio::test]
async fn of_a_deadline_and_an_outcome_at_the_same_moment_the_first_counts_and_the_other_is_late() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    for deadline_first in [true, false] {
        let batch = manual.running_batch(2, &[Phase::Spellcheck]).await;
        let essays = [EssayId::new(batch, 0), EssayId::new(batch, 1)];
        manual.clock.advance(30 * MINUTE);
        if deadline_first {
            manual.fire().await.unwrap();
        }
        manual.deliver(vec![outcome(batch, PhaseName::Spellcheck, &essays, &[], correlation(batch))]).await;
        manual.fire().await.unwrap();
        let status = manual.status(batch).await;
        let expected = if deadline_first { (0, 2) } else { (2, 0) };
        assert_eq!((status.counts.succeeded, status.counts.failed), expected);
        assert!(status.row.batch.is_ended());
    }
    assert_eq!(manual.published(Topic::BatchPipelineCompleted).await, 2, "each run ended once");
}

#[tokio::test]
async fn a_timer_that_crashes_when_it_fires_is_fired_again_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = ManualEngine::open(folder.path()).await;
    let batch = first.running_batch(2, &[Phase::Spellcheck]).await;
    first.clock.advance(30 * MINUTE);
    let at = engine::ports::Clock::now(first.clock.as_ref());
    first.close().await;

    let died = CancellationToken::new();
    let crashing =
        ManualEngine::open_at(folder.path(), at, crash_at(CrashPoint::TimerFired, died.clone())).await;
    assert!(crashing.fire().await.is_err());
    assert!(died.is_cancelled());
    assert_eq!(crashing.status(batch).await.row.batch.status(), BatchStatus::Processing);
    crashing.close().await;

    let manual = ManualEngine::open_at(folder.path(), at, engine::Crash::default()).await;
    manual.fire().await.unwrap();
    let ended = manual.status(batch).await;
    assert_eq!(ended.row.batch.status(), BatchStatus::Failed);
    manual.fire().await.unwrap();
    assert_eq!(manual.status(batch).await.row.batch.revision, ended.row.batch.revision);
    assert_eq!(manual.published(Topic::BatchPipelineCompleted).await, 1);
}

#[tokio::test]
async fn an_ended_batch_is_pruned_after_its_time_and_a_live_one_never() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let live = manual.running_batch(1, &[Phase::Spellcheck]).await;
    let ended = manual.running_batch(1, &[Phase::Spellcheck]).await;
    let essays = [EssayId::new(ended, 0)];
    manual.deliver(vec![outcome(ended, PhaseName::Spellcheck, &essays, &[], correlation(ended))]).await;
    assert!(manual.status(ended).await.row.batch.is_ended());

    manual.clock.advance(90 * DAY);
    prune::sweep(&manual.engine).await.unwrap();
    assert!(manual.find(ended).await.is_some(), "it is kept for 90 days");
    manual.clock.advance(SECOND);
    prune::sweep(&manual.engine).await.unwrap();
    assert!(manual.find(ended).await.is_none());
    manual.clock.advance(900 * DAY);
    prune::sweep(&manual.engine).await.unwrap();
    assert!(manual.find(live).await.is_some(), "age alone prunes nothing");
    assert_eq!(manual.status(live).await.counts.in_progress, 1);
}

/// A restart with a clock that is three months ahead, as after a wrong time of the machine.
#[tokio::test]
async fn a_clock_that_jumped_forward_deletes_no_ended_batch_until_it_has_been_so_for_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let ended = manual.running_batch(1, &[Phase::Spellcheck]).await;
    let essays = [EssayId::new(ended, 0)];
    manual.deliver(vec![outcome(ended, PhaseName::Spellcheck, &essays, &[], correlation(ended))]).await;
    prune::sweep(&manual.engine).await.unwrap();
    manual.close().await;

    let manual =
        ManualEngine::open_at(folder.path(), start_time() + 91 * DAY, engine::Crash::default()).await;
    for _ in 0..23 {
        prune::sweep(&manual.engine).await.unwrap();
        assert!(manual.find(ended).await.is_some(), "it may be a jump");
        manual.clock.advance(DAY / 24);
    }
    manual.close().await;
    // A corrected clock has lost nothing.
    let corrected = start_time() + DAY;
    let manual = ManualEngine::open_at(folder.path(), corrected, engine::Crash::default()).await;
    prune::sweep(&manual.engine).await.unwrap();
    assert!(manual.find(ended).await.is_some());
    manual.close().await;

    let manual =
        ManualEngine::open_at(folder.path(), start_time() + 91 * DAY, engine::Crash::default()).await;
    prune::sweep(&manual.engine).await.unwrap();
    assert!(manual.find(ended).await.is_some(), "the day begins anew");
    manual.clock.advance(DAY);
    prune::sweep(&manual.engine).await.unwrap();
    assert!(manual.find(ended).await.is_none(), "a clock that stays is right");
}

#[tokio::test]
async fn the_log_keeps_records_that_a_reader_has_not_passed_however_old_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(1, &[Phase::Spellcheck]).await;
    let word = spellchecked(EssayId::new(batch, 0), Verdict::Succeeded, correlation(batch), "");
    manual.deliver(vec![word]).await;
    manual.clock.advance(8 * DAY);
    // The position is committed; it is written with the next turn of the relay.
    prune::sweep(&manual.engine).await.unwrap();
    assert_eq!(manual.published(Topic::SpellcheckPhaseCompleted).await, 1, "no position is written yet");
    prune::sweep(&manual.engine).await.unwrap();
    assert_eq!(manual.published(Topic::SpellcheckPhaseCompleted).await, 0);
}

#[tokio::test]
async fn a_key_is_kept_for_a_day_and_free_again_after_that() {
    let folder = tempfile::tempdir().unwrap();
    let manual = ManualEngine::open(folder.path()).await;
    let submit = async |text: &'static str| {
        let key =
            manual.engine.idempotency_key(&owner(), "POST /v1/batch", "k", "text/plain", text.as_bytes());
        let id = manual.engine.new_batch_id(Some(&key)).unwrap();
        let one = std::iter::once(Bytes::from_static(text.as_bytes()));
        manual.engine.submit(Submission { key: Some(key), ..submission(id, one) }).await
    };
    assert!(matches!(submit("One.").await, Ok(Receipt::Fresh(_))));
    manual.clock.advance(DAY);
    prune::sweep(&manual.engine).await.unwrap();
    assert!(matches!(submit("One.").await, Ok(Receipt::Replayed(_))), "it is kept for a day");
    assert!(matches!(submit("Two.").await, Err(Error::KeyReused)));
    manual.clock.advance(SECOND);
    prune::sweep(&manual.engine).await.unwrap();
    assert!(matches!(submit("Two.").await, Ok(Receipt::Fresh(_))));
}
