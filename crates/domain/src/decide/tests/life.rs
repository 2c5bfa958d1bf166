//! What the neighbours bring a batch to, by their news, their silence and their trouble.

use insta::assert_snapshot;

use super::play::{
    class, handed_in, news, outcome, play, play_on, play_with, running, single, start, stored, timer,
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
    3 essays handed in
      = pending_content, waits for texts 3 texts | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    2 texts stored, 0 refused, 1 on the way
      = pending_content, waits for texts 1 text | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    every text is accounted for: 3 stored, 0 refused
        send registration
        timer registration#1 in 300 s
      = pending_content, waits for registration | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    the lifecycle service knows the batch
        clear timer registration
        open essays spellcheck#1
        send command spellcheck#1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results 3 essays | 0 waiting, 3 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/3 | nlp#0 pending_dependencies
    spellcheck: 2 succeeded, 0 failed, 1 open
        clear timer start
      = processing, waits for results 1 essay | 2 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 in_progress 2+0/3 | nlp#0 pending_dependencies
    spellcheck: every essay has its word, the outcome is awaited
        timer outcome_grace spellcheck#1 in 30 s
      = processing, waits for outcome | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 in_progress 3+0/3 | nlp#0 pending_dependencies
    spellcheck ended completed_successfully, its outcome says completed_successfully
        clear timers
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results 3 essays | 0 waiting, 3 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 3+0/3 | nlp#1 dispatch_initiated 0+0/3
    nlp ended completed_successfully, its outcome says completed_successfully
        clear timers
        send pipeline completed, run 1
      = completed_successfully | 0 waiting, 0 open, 3 ok, 0 failed | spellcheck#1 completed_successfully 3+0/3 | nlp#1 completed_successfully 3+0/3
    ");
}

#[test]
fn essays_that_fail_stay_behind_and_the_rest_go_on() {
    assert_snapshot!(play([
        class(3, &[Nlp]),
        Input::TextsStored { stored: 2, refused: 1 },
        Input::Registered,
        news(Spellcheck, 1, 1, 1),
        outcome(Spellcheck, 1, 0, 0),
        outcome(Nlp, 1, 1, 0),
    ]), @r"
    3 essays handed in
      = pending_content, waits for texts 3 texts | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    every text is accounted for: 2 stored, 1 refused
        send registration
        timer registration#1 in 300 s
      = pending_content, waits for registration | 2 waiting, 0 open, 0 ok, 1 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    the lifecycle service knows the batch
        clear timer registration
        open essays spellcheck#1
        send command spellcheck#1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results 2 essays | 0 waiting, 2 open, 0 ok, 1 failed | spellcheck#1 dispatch_initiated 0+0/2 | nlp#0 pending_dependencies
    spellcheck: every essay has its word, the outcome is awaited
        clear timer start
        timer outcome_grace spellcheck#1 in 30 s
      = processing, waits for outcome | 1 waiting, 0 open, 0 ok, 2 failed | spellcheck#1 in_progress 1+1/2 | nlp#0 pending_dependencies
    spellcheck ended completed_with_partial_success, its outcome says completed_successfully
        clear timers
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results 1 essay | 0 waiting, 1 open, 0 ok, 2 failed | spellcheck#1 completed_with_partial_success 1+1/2 | nlp#1 dispatch_initiated 0+0/1
    nlp ended completed_successfully, its outcome says completed_successfully
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
    spellcheck ended failed, its outcome says failed_critically
        clear timers
        send pipeline completed, run 1
      = failed | 0 waiting, 0 open, 0 ok, 2 failed | spellcheck#1 failed 0+2/2 | nlp#0 skipped_due_to_dependency_failure | cj_assessment#0 skipped_due_to_dependency_failure
    ");
}

#[test]
fn a_batch_of_which_no_text_can_be_stored_has_failed() {
    assert_snapshot!(play([class(2, &[Spellcheck]), Input::TextsStored { stored: 0, refused: 2 }]), @r"
    2 essays handed in
      = pending_content, waits for texts 2 texts | 2 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    the Content Service took none of the texts
        clear timers
        send pipeline completed, run 1
      = failed | 0 waiting, 0 open, 0 ok, 2 failed | spellcheck#0 skipped_due_to_dependency_failure
    ");
}

#[test]
fn news_after_the_outcome_and_outcomes_repeated_change_nothing() {
    assert_snapshot!(play_on(running(2, &[Spellcheck]), [
        Input::Registered,
        outcome(Spellcheck, 1, 2, 0),
        Input::EssaysReported { phase: Spellcheck, attempt: 1, succeeded: 0, failed: 0, stale: 2 },
        outcome(Spellcheck, 1, 0, 0),
        timer(TimerKind::Phase, 1, Some(Spellcheck), 1),
    ]), @r"
    news about something that is over
    spellcheck ended completed_successfully, its outcome says completed_successfully
        clear timers
        send pipeline completed, run 1
      = completed_successfully | 0 waiting, 0 open, 2 ok, 0 failed | spellcheck#1 completed_successfully 2+0/2
    news about something that is over
    news about something that is over
    news about something that is over
    ");
}

#[test]
fn a_phase_without_an_outcome_ends_from_the_news() {
    assert_snapshot!(play_on(running(2, &[Spellcheck]), [
        news(Spellcheck, 1, 2, 0),
        news(Spellcheck, 1, 0, 0),
        timer(TimerKind::OutcomeGrace, 1, Some(Spellcheck), 1),
    ]), @r"
    spellcheck: every essay has its word, the outcome is awaited
        clear timer start
        timer outcome_grace spellcheck#1 in 30 s
      = processing, waits for outcome | 0 waiting, 0 open, 2 ok, 0 failed | spellcheck#1 in_progress 2+0/2
    news about something that is over
    spellcheck ended completed_successfully, as the news about its essays says, since no outcome came
        clear timers
        send pipeline completed, run 1
      = completed_successfully | 0 waiting, 0 open, 2 ok, 0 failed | spellcheck#1 completed_successfully 2+0/2 without outcome
    ");
}

#[test]
fn silence_asks_for_attention_and_the_deadline_ends_the_phase() {
    assert_snapshot!(play_on(running(2, &[Spellcheck, Nlp]), [
        timer(TimerKind::Start, 1, Some(Spellcheck), 1),
        news(Spellcheck, 1, 1, 0),
        timer(TimerKind::Phase, 1, Some(Spellcheck), 1),
        timer(TimerKind::Phase, 1, Some(Nlp), 1),
    ]), @r"
    nothing was heard from spellcheck in time
      = processing, waits for results 2 essays, look: no_sign_of_life | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/2 | nlp#0 pending_dependencies
    spellcheck: 1 succeeded, 0 failed, 1 open
        clear timer start
      = processing, waits for results 1 essay | 1 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 in_progress 1+0/2 | nlp#0 pending_dependencies
    spellcheck ended completed_with_partial_success, since its time was up
        fail open essays spellcheck#1: phase_timeout
        clear timers
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results 1 essay | 0 waiting, 1 open, 0 ok, 1 failed | spellcheck#1 completed_with_partial_success 1+1/2 (phase_timeout) | nlp#1 dispatch_initiated 0+0/1
    nlp ended failed, since its time was up
        fail open essays nlp#1: phase_timeout
        clear timers
        send pipeline completed, run 1
      = failed | 0 waiting, 0 open, 0 ok, 2 failed | spellcheck#1 completed_with_partial_success 1+1/2 (phase_timeout) | nlp#1 failed 0+1/1 (phase_timeout)
    ");
}

#[test]
fn a_registration_that_is_never_confirmed_ends_the_batch() {
    assert_snapshot!(play([
        class(2, &[Spellcheck]),
        stored(2),
        timer(TimerKind::Registration, 1, None, 1),
        timer(TimerKind::Registration, 1, None, 1),
        timer(TimerKind::Registration, 1, None, 2),
        Input::Registered,
        start(&[Spellcheck]),
    ]), @r"
    2 essays handed in
      = pending_content, waits for texts 2 texts | 2 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    every text is accounted for: 2 stored, 0 refused
        send registration
        timer registration#1 in 300 s
      = pending_content, waits for registration | 2 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    the lifecycle service has not confirmed the batch in time
        timer registration#2 in 1800 s
      = pending_content, waits for registration, look: registration_overdue | 2 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    news about something that is over
    the lifecycle service never confirmed the batch
        skip essays
        clear timers
        send pipeline completed, run 1
      = failed, look: registration_timeout | 0 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 skipped_due_to_dependency_failure (registration_timeout)
    news about something that is over
    refused: no essay is left that could go on; the batch is failed, possible now: nothing
    ");
}

#[test]
fn a_single_essay_is_spellchecked_without_registration_or_outcome() {
    assert_snapshot!(play([single(), stored(1), news(Spellcheck, 1, 1, 0), start(&[Nlp])]), @r"
    1 essay handed in
      = pending_content, waits for texts 1 text | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    every text is accounted for: 1 stored, 0 refused
        open essays spellcheck#1
        send spellcheck requests #1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results 1 essay | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1
    spellcheck ended completed_successfully, as the news about its essays says
        clear timers
      = completed_successfully | 0 waiting, 0 open, 1 ok, 0 failed | spellcheck#1 completed_successfully 1+0/1
    refused: a single essay is only spellchecked: nlp needs a batch
    ");
}

#[test]
fn an_open_batch_takes_essays_until_it_is_closed() {
    assert_snapshot!(play([
        handed_in(Kind::Class, 1, true, &[]),
        stored(1),
        Input::Append { essays: 2 },
        start(&[Nlp]),
        start(&[Spellcheck, Nlp]),
        stored(2),
        Input::Close,
        Input::Close,
        Input::Append { essays: 1 },
    ]), @r"
    1 essay handed in
      = pending_content, waits for texts 1 text | 1 waiting, 0 open, 0 ok, 0 failed
    1 text stored, 0 refused, 0 on the way
      = pending_content, waits for close | 1 waiting, 0 open, 0 ok, 0 failed
    2 essays added
      = pending_content, waits for texts 2 texts | 3 waiting, 0 open, 0 ok, 0 failed
    asked to run spellcheck, nlp; added since others need it: spellcheck
      = pending_content, waits for texts 2 texts | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    it was so already
    2 texts stored, 0 refused, 0 on the way
      = pending_content, waits for close | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    closed: no more essays come
        send registration
        timer registration#1 in 300 s
      = pending_content, waits for registration | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user | nlp#0 pending_dependencies
    it was so already
    refused: the batch takes no more essays; the batch is pending_content, possible now: start, pause, cancel
    ");
}

#[test]
fn a_content_service_that_is_away_is_told_once() {
    let away = |minute| Input::StorageStalled {
        code: WaitingCode::ContentUnreachable,
        next_check_at: Some(super::play::midnight() + chrono::TimeDelta::minutes(minute)),
        overdue: false,
    };
    assert_snapshot!(play([class(2, &[]), away(1), away(2), stored(1), stored(1), away(3)]), @r"
    2 essays handed in
      = pending_content, waits for texts 2 texts | 2 waiting, 0 open, 0 ok, 0 failed
    texts cannot be stored just now: content_unreachable
      = pending_content, waits for content_unreachable 2 texts | 2 waiting, 0 open, 0 ok, 0 failed
    it was so already
    1 text stored, 0 refused, 1 on the way
      = pending_content, waits for texts 1 text | 2 waiting, 0 open, 0 ok, 0 failed
    every text is accounted for: 2 stored, 0 refused
        send registration
        timer registration#1 in 300 s
      = pending_content, waits for registration | 2 waiting, 0 open, 0 ok, 0 failed
    news about something that is over
    ");
}

#[test]
fn texts_that_cannot_be_stored_for_long_need_attention_until_one_is() {
    let away = |overdue| Input::StorageStalled {
        code: WaitingCode::ContentUnreachable,
        next_check_at: None,
        overdue,
    };
    assert_snapshot!(play([class(2, &[]), away(false), away(true), away(true), stored(1)]), @r"
    2 essays handed in
      = pending_content, waits for texts 2 texts | 2 waiting, 0 open, 0 ok, 0 failed
    texts cannot be stored just now: content_unreachable
      = pending_content, waits for content_unreachable 2 texts | 2 waiting, 0 open, 0 ok, 0 failed
    texts cannot be stored, however often it was tried: content_unreachable
      = pending_content, waits for content_unreachable 2 texts, look: storage_overdue | 2 waiting, 0 open, 0 ok, 0 failed
    it was so already
    1 text stored, 0 refused, 1 on the way
      = pending_content, waits for texts 1 text | 2 waiting, 0 open, 0 ok, 0 failed
    ");
}

#[test]
fn where_somebody_else_registers_the_first_phase_begins_when_texts_are_stored() {
    let settings = Settings { registration: false, ..Settings::default() };
    let (_, story) = play_with(&settings, [class(1, &[Spellcheck]), stored(1)]);
    assert_snapshot!(story, @r"
    1 essay handed in
      = pending_content, waits for texts 1 text | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    every text is accounted for: 1 stored, 0 refused
        open essays spellcheck#1
        send command spellcheck#1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results 1 essay | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1
    ");
}

#[test]
fn essays_that_an_outcome_does_not_count_fail_with_it() {
    assert_snapshot!(play_on(running(3, &[Spellcheck]), [
        outcome(Spellcheck, 1, 2, 0),
    ]), @r"
    spellcheck ended completed_with_partial_success, its outcome says completed_successfully
        fail open essays spellcheck#1: not_in_outcome
        clear timers
        send pipeline completed, run 1
      = completed_with_failures | 0 waiting, 0 open, 2 ok, 1 failed | spellcheck#1 completed_with_partial_success 2+1/3 (not_in_outcome)
    ");
}
