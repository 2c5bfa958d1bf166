//! Requests about a running or ended batch: pause, cancel, start, retry.

use insta::assert_snapshot;

use super::play::{
    cancel, class, news, outcome, play, play_on, play_with, retry, running, single, start, stored,
};
use crate::Phase::{AiFeedback, Nlp, Spellcheck};
use crate::Settings;
use crate::decide::{CancelMode, Input};

#[test]
fn a_paused_batch_ends_its_phase_and_waits_to_be_resumed() {
    assert_snapshot!(play_on(running(1, &[Spellcheck, Nlp]), [
        Input::Pause,
        Input::Pause,
        outcome(Spellcheck, 1, 1, 0),
        start(&[Nlp]),
        start(&[AiFeedback]),
        Input::Resume,
        Input::Resume,
    ]), @r"
    paused: no further phase starts
      = processing, waits for results of 1 | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1 | nlp#0 pending_dependencies
    already as requested
    spellcheck ended completed_successfully with the outcome completed_successfully
        clear timers
      = processing, waits for resume | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 1+0/1 | nlp#0 pending_dependencies
    already as requested
    phases requested: nlp, ai_feedback
      = processing, waits for resume | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 1+0/1 | nlp#0 requested_by_user | ai_feedback#0 pending_dependencies
    resumed
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 1+0/1 | nlp#1 dispatch_initiated 0+0/1 | ai_feedback#0 pending_dependencies
    already as requested
    ");
}

#[test]
fn a_graceful_cancel_lets_the_phase_finish() {
    assert_snapshot!(play_on(running(3, &[Spellcheck, Nlp]), [
        news(Spellcheck, 1, 1, 0),
        cancel(CancelMode::Graceful),
        cancel(CancelMode::Graceful),
        outcome(Spellcheck, 1, 1, 1),
        cancel(CancelMode::Graceful),
    ]), @r"
    spellcheck: 1 succeeded, 0 failed, 2 open
      = processing, waits for results of 2 | 1 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 in_progress 1+0/3 | nlp#0 pending_dependencies
    cancelled: the batch ends with spellcheck
      = processing, waits for results of 2 | 1 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 in_progress 1+0/3 | nlp#0 pending_dependencies
    already as requested
    spellcheck ended completed_with_partial_success with the outcome completed_with_failures
        cancel essays
        clear timers
        send pipeline completed, run 1
      = cancelled | 0 waiting, 0 open, 0 ok, 1 failed | spellcheck#1 completed_with_partial_success 2+1/3 | nlp#0 cancelled
    refused: the batch has ended; the batch is cancelled, possible now: retry
    ");
}

#[test]
fn an_abandoned_batch_ends_at_once_and_counts_late_results() {
    assert_snapshot!(play_on(running(3, &[Spellcheck, Nlp]), [
        news(Spellcheck, 1, 1, 0),
        cancel(CancelMode::Abandon),
        Input::EssaysReported { phase: Spellcheck, attempt: 1, succeeded: 0, failed: 0, stale: 2 },
        start(&[Nlp]),
    ]), @r"
    spellcheck: 1 succeeded, 0 failed, 2 open
      = processing, waits for results of 2 | 1 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 in_progress 1+0/3 | nlp#0 pending_dependencies
    cancelled
        cancel essays
        clear timers
        send pipeline completed, run 1
      = cancelled | 0 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 cancelled 1+0/3 | nlp#0 cancelled
    news about something that has ended
    refused: no essay is left that could go on; the batch is cancelled, possible now: nothing
    ");
}

#[test]
fn a_cancel_while_texts_are_stored_drops_the_texts() {
    assert_snapshot!(play([class(3, &[]), stored(1), cancel(CancelMode::Graceful), stored(0)]), @r"
    3 essays accepted
      = pending_content, waits for texts of 3 | 3 waiting, 0 open, 0 ok, 0 failed
    1 text stored, 0 refused, 2 pending
      = pending_content, waits for texts of 2 | 3 waiting, 0 open, 0 ok, 0 failed
    cancelled
        cancel essays
        drop staged texts
        clear timers
      = cancelled | 0 waiting, 0 open, 0 ok, 0 failed
    news about something that has ended
    ");
}

#[test]
fn a_spellcheck_retry_bypasses_a_lifecycle_service_that_cannot_retry() {
    assert_snapshot!(play_on(running(3, &[Spellcheck, Nlp]), [
        outcome(Spellcheck, 1, 2, 1),
        outcome(Nlp, 1, 1, 1),
        retry(Nlp, 1, false),
        retry(Spellcheck, 1, true),
        retry(Spellcheck, 1, false),
        news(Spellcheck, 1, 0, 0),
        news(Spellcheck, 2, 1, 0),
    ]), @r"
    spellcheck ended completed_with_partial_success with the outcome completed_with_failures
        clear timers
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results of 2 | 0 waiting, 2 open, 0 ok, 1 failed | spellcheck#1 completed_with_partial_success 2+1/3 | nlp#1 dispatch_initiated 0+0/2
    nlp ended completed_with_partial_success with the outcome completed_with_failures
        clear timers
        send pipeline completed, run 1
      = completed_with_failures | 0 waiting, 0 open, 1 ok, 2 failed | spellcheck#1 completed_with_partial_success 2+1/3 | nlp#1 completed_with_partial_success 1+1/2
    refused: the lifecycle service of this installation cannot retry failed essays in nlp
    refused: the lifecycle service of this installation cannot retry failed essays in nlp
    retry of 1 essay in spellcheck
        revive essays that failed in spellcheck
        open essays spellcheck#2
        send spellcheck requests #2
        timer start spellcheck#2 in 300 s
        timer phase spellcheck#2 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 1 ok, 1 failed | spellcheck#2 dispatch_initiated 2+0/3 | nlp#1 completed_with_partial_success 1+1/2
    news about something that has ended
    spellcheck ended completed_successfully by the results of its essays
        clear timers
        send pipeline completed, run 2
      = completed_with_failures | 0 waiting, 0 open, 2 ok, 1 failed | spellcheck#2 completed_successfully 3+0/3 | nlp#1 completed_with_partial_success 1+1/2
    ");
}

#[test]
fn with_a_lifecycle_service_that_can_retry_essays_go_on_to_later_phases() {
    let settings = Settings { els_retries: true, ..Settings::default() };
    let (_, story) = play_with(
        &settings,
        [
            class(3, &[Spellcheck, Nlp]),
            stored(3),
            Input::Registered,
            outcome(Spellcheck, 1, 2, 1),
            outcome(Nlp, 1, 2, 0),
            retry(Spellcheck, 1, true),
            outcome(Spellcheck, 2, 1, 0),
            outcome(Nlp, 2, 1, 0),
            retry(Spellcheck, 0, true),
        ],
    );
    assert_snapshot!(story, @r"
    3 essays accepted
      = pending_content, waits for texts of 3 | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    no text is pending: 3 stored, 0 refused
        send registration
        timer registration#1 in 300 s
      = pending_content, waits for registration | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    the lifecycle service confirmed the registration
        clear timer registration
        open essays spellcheck#1
        send command spellcheck#1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results of 3 | 0 waiting, 3 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/3 | nlp#0 pending_dependencies
    spellcheck ended completed_with_partial_success with the outcome completed_with_failures
        clear timers
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results of 2 | 0 waiting, 2 open, 0 ok, 1 failed | spellcheck#1 completed_with_partial_success 2+1/3 | nlp#1 dispatch_initiated 0+0/2
    nlp ended completed_successfully with the outcome completed_successfully
        clear timers
        send pipeline completed, run 1
      = completed_with_failures | 0 waiting, 0 open, 2 ok, 1 failed | spellcheck#1 completed_with_partial_success 2+1/3 | nlp#1 completed_successfully 2+0/2
    retry of 1 essay in spellcheck
        revive essays that failed in spellcheck
        open essays spellcheck#2
        send command spellcheck#2
        timer start spellcheck#2 in 300 s
        timer phase spellcheck#2 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 2 ok, 0 failed | spellcheck#2 dispatch_initiated 2+0/3 | nlp#1 pending_dependencies 2+0/2
    spellcheck ended completed_successfully with the outcome completed_successfully
        clear timers
        open essays nlp#2
        send command nlp#2
        timer start nlp#2 in 300 s
        timer phase nlp#2 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 2 ok, 0 failed | spellcheck#2 completed_successfully 3+0/3 | nlp#2 dispatch_initiated 2+0/3
    nlp ended completed_successfully with the outcome completed_successfully
        clear timers
        send pipeline completed, run 2
      = completed_successfully | 0 waiting, 0 open, 3 ok, 0 failed | spellcheck#2 completed_successfully 3+0/3 | nlp#2 completed_successfully 3+0/3
    refused: no essay has failed in spellcheck
    ");
}

#[test]
fn a_single_essay_that_failed_can_be_retried() {
    assert_snapshot!(play([
        single(),
        stored(1),
        news(Spellcheck, 1, 0, 1),
        start(&[Spellcheck]),
        retry(Spellcheck, 1, true),
        news(Spellcheck, 2, 1, 0),
    ]), @r"
    1 essay accepted
      = pending_content, waits for texts of 1 | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    no text is pending: 1 stored, 0 refused
        send registration
        open essays spellcheck#1
        send spellcheck requests #1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1
    spellcheck ended failed by the results of its essays
        clear timers
      = failed | 0 waiting, 0 open, 0 ok, 1 failed | spellcheck#1 failed 0+1/1
    refused: no essay is left that could go on; the batch is failed, possible now: retry
    retry of 1 essay in spellcheck
        revive essays that failed in spellcheck
        open essays spellcheck#2
        send spellcheck requests #2
        timer start spellcheck#2 in 300 s
        timer phase spellcheck#2 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#2 dispatch_initiated 0+0/1
    spellcheck ended completed_successfully by the results of its essays
        clear timers
      = completed_successfully | 0 waiting, 0 open, 1 ok, 0 failed | spellcheck#2 completed_successfully 1+0/1
    ");
}

#[test]
fn a_second_run_takes_the_essays_that_succeeded_and_leaves_out_done_phases() {
    assert_snapshot!(play_on(running(3, &[]), [
        start(&[Spellcheck]),
        start(&[Spellcheck]),
        outcome(Spellcheck, 1, 2, 1),
        start(&[Spellcheck]),
        start(&[Spellcheck, AiFeedback]),
        outcome(Nlp, 1, 2, 0),
        outcome(AiFeedback, 1, 1, 1),
    ]), @r"
    phases requested: spellcheck
        open essays spellcheck#1
        send command spellcheck#1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results of 3 | 0 waiting, 3 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/3
    refused: spellcheck is running; the batch is processing, possible now: pause, cancel
    spellcheck ended completed_with_partial_success with the outcome completed_with_failures
        clear timers
        send pipeline completed, run 1
      = completed_with_failures | 0 waiting, 0 open, 2 ok, 1 failed | spellcheck#1 completed_with_partial_success 2+1/3
    refused: already done: spellcheck
    phases requested: nlp, ai_feedback; added as prerequisites: nlp; left out as already done: spellcheck
        revive essays that succeeded
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results of 2 | 0 waiting, 2 open, 0 ok, 1 failed | spellcheck#1 completed_with_partial_success 2+1/3 | nlp#1 dispatch_initiated 0+0/2 | ai_feedback#0 pending_dependencies
    nlp ended completed_successfully with the outcome completed_successfully
        clear timers
        open essays ai_feedback#1
        send command ai_feedback#1
        timer start ai_feedback#1 in 300 s
        timer phase ai_feedback#1 in 1800 s
      = processing, waits for results of 2 | 0 waiting, 2 open, 0 ok, 1 failed | spellcheck#1 completed_with_partial_success 2+1/3 | nlp#1 completed_successfully 2+0/2 | ai_feedback#1 dispatch_initiated 0+0/2
    ai_feedback ended completed_with_partial_success with the outcome completed_with_failures
        clear timers
        send pipeline completed, run 2
      = completed_with_failures | 0 waiting, 0 open, 1 ok, 2 failed | spellcheck#1 completed_with_partial_success 2+1/3 | nlp#1 completed_successfully 2+0/2 | ai_feedback#1 completed_with_partial_success 1+1/2
    ");
}
