//! How results, silence and failures of the other services move a batch.

use insta::assert_snapshot;

use super::play::{
    class, news, outcome, play, play_on, play_on_at, play_with, running, single, start, stored, submitted,
    timer,
};
use crate::Phase::{CjAssessment, Nlp, Spellcheck};
use crate::decide::{Input, TimerKind};
use crate::{Kind, Settings, WaitingCode};

#[test]
fn a_class_goes_through_two_phases() {
    assert_snapshot!(play([
        class(3, &[Spellcheck, Nlp]),
        stored(2),
        stored(1),
        Input::Registered,
        news(Spellcheck, 1, 2, 0),
        news(Spellcheck, 1, 1, 0),
        outcome(Spellcheck, 1, 0, 0),
        outcome(Nlp, 1, 3, 0),
    ]), @r"
    3 essays accepted
      = pending_content, waits for texts of 3 | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    2 texts stored, 0 refused, 1 pending
      = pending_content, waits for texts of 1 | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
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
    spellcheck: 2 succeeded, 0 failed, 1 open
      = processing, waits for results of 1 | 2 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 in_progress 2+0/3 | nlp#0 pending_dependencies
    spellcheck: every essay has a result, the outcome is awaited
      = processing, waits for outcome | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 in_progress 3+0/3 | nlp#0 pending_dependencies
    spellcheck ended completed_successfully with the outcome completed_successfully
        clear timers
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results of 3 | 0 waiting, 3 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 3+0/3 | nlp#1 dispatch_initiated 0+0/3
    nlp ended completed_successfully with the outcome completed_successfully
        clear timers
        send pipeline completed, run 1
      = completed_successfully | 0 waiting, 0 open, 3 ok, 0 failed | spellcheck#1 completed_successfully 3+0/3 | nlp#1 completed_successfully 3+0/3
    ");
}

#[test]
fn failed_essays_take_no_part_in_the_next_phase() {
    assert_snapshot!(play([
        class(3, &[Nlp]),
        Input::TextsStored { stored: 2, refused: 1 },
        Input::Registered,
        news(Spellcheck, 1, 1, 1),
        outcome(Spellcheck, 1, 0, 0),
        outcome(Nlp, 1, 1, 0),
    ]), @r"
    3 essays accepted
      = pending_content, waits for texts of 3 | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    no text is pending: 2 stored, 1 refused
        send registration
        timer registration#1 in 300 s
      = pending_content, waits for registration | 2 waiting, 0 open, 0 ok, 1 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    the lifecycle service confirmed the registration
        clear timer registration
        open essays spellcheck#1
        send command spellcheck#1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results of 2 | 0 waiting, 2 open, 0 ok, 1 failed | spellcheck#1 dispatch_initiated 0+0/2 | nlp#0 pending_dependencies
    spellcheck: every essay has a result, the outcome is awaited
      = processing, waits for outcome | 1 waiting, 0 open, 0 ok, 2 failed | spellcheck#1 in_progress 1+1/2 | nlp#0 pending_dependencies
    spellcheck ended completed_with_partial_success with the outcome completed_successfully
        clear timers
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 0 ok, 2 failed | spellcheck#1 completed_with_partial_success 1+1/2 | nlp#1 dispatch_initiated 0+0/1
    nlp ended completed_successfully with the outcome completed_successfully
        clear timers
        send pipeline completed, run 1
      = completed_with_failures | 0 waiting, 0 open, 1 ok, 2 failed | spellcheck#1 completed_with_partial_success 1+1/2 | nlp#1 completed_successfully 1+0/1
    ");
}

#[test]
fn when_all_essays_fail_later_phases_are_skipped() {
    assert_snapshot!(play_on(running(2, &[Spellcheck, Nlp, CjAssessment]), [
        outcome(Spellcheck, 1, 0, 2),
    ]), @r"
    spellcheck ended failed with the outcome failed_critically
        clear timers
        send pipeline completed, run 1
      = failed | 0 waiting, 0 open, 0 ok, 2 failed | spellcheck#1 failed 0+2/2 | nlp#0 skipped_due_to_dependency_failure | cj_assessment#0 skipped_due_to_dependency_failure
    ");
}

#[test]
fn a_batch_without_a_stored_text_fails() {
    assert_snapshot!(play([class(2, &[Spellcheck]), Input::TextsStored { stored: 0, refused: 2 }]), @r"
    2 essays accepted
      = pending_content, waits for texts of 2 | 2 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    the Content Service refused every text
        clear timers
        send pipeline completed, run 1
      = failed | 0 waiting, 0 open, 0 ok, 2 failed | spellcheck#0 skipped_due_to_dependency_failure
    ");
}

#[test]
fn late_results_and_repeated_outcomes_change_nothing() {
    assert_snapshot!(play_on(running(2, &[Spellcheck]), [
        Input::Registered,
        outcome(Spellcheck, 1, 2, 0),
        Input::EssaysReported { phase: Spellcheck, attempt: 1, succeeded: 0, failed: 0, stale: 2 },
        outcome(Spellcheck, 1, 0, 0),
        timer(TimerKind::Phase, 1, Some(Spellcheck), 1),
    ]), @r"
    news about something that has ended
    spellcheck ended completed_successfully with the outcome completed_successfully
        clear timers
        send pipeline completed, run 1
      = completed_successfully | 0 waiting, 0 open, 2 ok, 0 failed | spellcheck#1 completed_successfully 2+0/2
    news about something that has ended
    news about something that has ended
    news about something that has ended
    ");
}

#[test]
fn a_phase_without_results_needs_attention_and_ends_at_its_deadline() {
    assert_snapshot!(play_on_at(running(2, &[Spellcheck, Nlp]), [
        (300, timer(TimerKind::Start, 1, Some(Spellcheck), 1)),
        (1, news(Spellcheck, 1, 1, 0)),
        (1499, timer(TimerKind::Phase, 1, Some(Spellcheck), 1)),
        (1800, timer(TimerKind::Phase, 1, Some(Nlp), 1)),
    ]), @r"
    no result of spellcheck arrived in time
        timer start spellcheck#1 in 30 s
      = processing, waits for results of 2, look: no_sign_of_life | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/2 | nlp#0 pending_dependencies
    spellcheck: 1 succeeded, 0 failed, 1 open
      = processing, waits for results of 1 | 1 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 in_progress 1+0/2 | nlp#0 pending_dependencies
    spellcheck ended completed_with_partial_success at its deadline
        fail open essays spellcheck#1: phase_timeout
        clear timers
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 0 ok, 1 failed | spellcheck#1 completed_with_partial_success 1+1/2 (phase_timeout) | nlp#1 dispatch_initiated 0+0/1
    nlp ended failed at its deadline
        fail open essays nlp#1: phase_timeout
        clear timers
        send pipeline completed, run 1
      = failed | 0 waiting, 0 open, 0 ok, 2 failed | spellcheck#1 completed_with_partial_success 1+1/2 (phase_timeout) | nlp#1 failed 0+1/1 (phase_timeout)
    ");
}

#[test]
fn a_registration_that_is_never_confirmed_fails_the_batch() {
    assert_snapshot!(play([
        class(2, &[Spellcheck]),
        stored(2),
        timer(TimerKind::Registration, 1, None, 1),
        timer(TimerKind::Registration, 1, None, 1),
        timer(TimerKind::Registration, 1, None, 2),
        Input::Registered,
        start(&[Spellcheck]),
    ]), @r"
    2 essays accepted
      = pending_content, waits for texts of 2 | 2 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    no text is pending: 2 stored, 0 refused
        send registration
        timer registration#1 in 300 s
      = pending_content, waits for registration | 2 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    the lifecycle service has not confirmed the registration in time
        timer registration#2 in 1800 s
      = pending_content, waits for registration, look: registration_overdue | 2 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    news about something that has ended
    the lifecycle service never confirmed the registration
        skip essays
        clear timers
        send pipeline completed, run 1
      = failed, look: registration_timeout | 0 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 skipped_due_to_dependency_failure (registration_timeout)
    news about something that has ended
    refused: no essay is left that could go on; the batch is failed, possible now: nothing
    ");
}

#[test]
fn a_single_essay_is_spellchecked_without_registration_or_outcome() {
    assert_snapshot!(play([single(), stored(1), news(Spellcheck, 1, 1, 0), start(&[Nlp])]), @r"
    1 essay accepted
      = pending_content, waits for texts of 1 | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    no text is pending: 1 stored, 0 refused
        send registration
        open essays spellcheck#1
        send spellcheck requests #1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1
    spellcheck ended completed_successfully by the results of its essays
        clear timers
      = completed_successfully | 0 waiting, 0 open, 1 ok, 0 failed | spellcheck#1 completed_successfully 1+0/1
    refused: a single essay can only be spellchecked: nlp needs a batch
    ");
}

#[test]
fn an_open_batch_takes_essays_until_it_is_closed() {
    assert_snapshot!(play([
        submitted(Kind::Class, 1, true, &[]),
        stored(1),
        Input::Append { essays: 2 },
        start(&[Nlp]),
        start(&[Spellcheck, Nlp]),
        stored(2),
        Input::Close,
        Input::Close,
        Input::Append { essays: 1 },
    ]), @r"
    1 essay accepted
      = pending_content, waits for texts of 1 | 1 waiting, 0 open, 0 ok, 0 failed
    1 text stored, 0 refused, 0 pending
      = pending_content, waits for close | 1 waiting, 0 open, 0 ok, 0 failed
    2 essays appended
      = pending_content, waits for texts of 2 | 3 waiting, 0 open, 0 ok, 0 failed
    phases requested: spellcheck, nlp; added as prerequisites: spellcheck
      = pending_content, waits for texts of 2 | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    already as requested
    2 texts stored, 0 refused, 0 pending
      = pending_content, waits for close | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    closed to further essays
        send registration
        timer registration#1 in 300 s
      = pending_content, waits for registration | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    already as requested
    refused: the batch takes no more essays; the batch is pending_content, possible now: start, pause, cancel
    ");
}

#[test]
fn an_unreachable_content_service_is_noted_once() {
    let unreachable = |minute| Input::StorageStalled {
        code: WaitingCode::ContentUnreachable,
        next_check_at: Some(super::play::midnight() + chrono::TimeDelta::minutes(minute)),
        overdue: false,
    };
    assert_snapshot!(play([class(2, &[]), unreachable(1), unreachable(2), stored(1), stored(1), unreachable(3)]), @r"
    2 essays accepted
      = pending_content, waits for texts of 2 | 2 waiting, 0 open, 0 ok, 0 failed
    texts cannot be stored at present: content_unreachable
      = pending_content, waits for content_unreachable of 2 | 2 waiting, 0 open, 0 ok, 0 failed
    already as requested
    1 text stored, 0 refused, 1 pending
      = pending_content, waits for texts of 1 | 2 waiting, 0 open, 0 ok, 0 failed
    no text is pending: 2 stored, 0 refused
        send registration
        timer registration#1 in 300 s
      = pending_content, waits for registration | 2 waiting, 0 open, 0 ok, 0 failed
    news about something that has ended
    ");
}

#[test]
fn a_long_storage_outage_needs_attention_until_a_text_is_stored() {
    let unreachable = |overdue| Input::StorageStalled {
        code: WaitingCode::ContentUnreachable,
        next_check_at: None,
        overdue,
    };
    assert_snapshot!(play([class(2, &[]), unreachable(false), unreachable(true), unreachable(true), stored(1)]), @r"
    2 essays accepted
      = pending_content, waits for texts of 2 | 2 waiting, 0 open, 0 ok, 0 failed
    texts cannot be stored at present: content_unreachable
      = pending_content, waits for content_unreachable of 2 | 2 waiting, 0 open, 0 ok, 0 failed
    texts cannot be stored after repeated attempts: content_unreachable
      = pending_content, waits for content_unreachable of 2, look: storage_overdue | 2 waiting, 0 open, 0 ok, 0 failed
    already as requested
    1 text stored, 0 refused, 1 pending
      = pending_content, waits for texts of 1 | 2 waiting, 0 open, 0 ok, 0 failed
    ");
}

#[test]
fn where_another_service_registers_the_first_phase_starts_when_all_texts_are_stored() {
    let settings = Settings { registration: false, ..Settings::default() };
    let (_, story) = play_with(&settings, [class(1, &[Spellcheck]), stored(1)]);
    assert_snapshot!(story, @r"
    1 essay accepted
      = pending_content, waits for texts of 1 | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    no text is pending: 1 stored, 0 refused
        open essays spellcheck#1
        send command spellcheck#1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1
    ");
}
