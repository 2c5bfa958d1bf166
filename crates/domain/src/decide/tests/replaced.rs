//! A batch whose neighbour services are replaced.

use insta::assert_snapshot;

use super::play::{class, news, outcome, play_on, running, single, start, stored, timer};
use crate::Phase::{Nlp, Spellcheck};
use crate::decide::{Input, TimerKind};

#[test]
fn a_running_phase_is_commanded_again_for_its_open_essays_once_the_batch_is_registered() {
    let before = [running(3, &[Spellcheck, Nlp]), vec![news(Spellcheck, 1, 1, 0)]].concat();
    assert_snapshot!(play_on(before, [
        Input::ServicesReplaced,
        Input::Registered,
        Input::Registered,
        outcome(Spellcheck, 1, 2, 0),
    ]), @r"
    the lifecycle service and the workers were replaced
        clear timers
        send registration
        timer registration#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for registration | 1 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 in_progress 1+0/3 | nlp#0 pending_dependencies
    the lifecycle service confirmed the registration
        clear timer registration
        send command spellcheck#1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results of 2 | 1 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 in_progress 1+0/3 | nlp#0 pending_dependencies
    news about something that has ended
    spellcheck ended completed_successfully with the outcome completed_successfully
        clear timers
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results of 3 | 0 waiting, 3 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 3+0/3 | nlp#1 dispatch_initiated 0+0/3
    ");
}

#[test]
fn an_ended_batch_is_registered_when_it_is_started_again() {
    let before = [running(2, &[Spellcheck]), vec![outcome(Spellcheck, 1, 2, 0)]].concat();
    assert_snapshot!(play_on(before, [
        Input::ServicesReplaced,
        Input::ServicesReplaced,
        start(&[Nlp]),
        Input::Registered,
    ]), @r"
    the lifecycle service and the workers were replaced
      = completed_successfully | 0 waiting, 0 open, 2 ok, 0 failed | spellcheck#1 completed_successfully 2+0/2
    the lifecycle service and the workers were replaced
    phases requested: nlp
        revive essays that succeeded
        open essays nlp#1
        send registration
        timer registration#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for registration | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 2+0/2 | nlp#1 dispatch_initiated 0+0/2
    the lifecycle service confirmed the registration
        clear timer registration
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results of 2 | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 2+0/2 | nlp#1 dispatch_initiated 0+0/2
    ");
}

#[test]
fn an_unconfirmed_registration_is_sent_again() {
    assert_snapshot!(play_on(vec![class(1, &[Spellcheck]), stored(1)], [
        Input::ServicesReplaced,
        Input::Registered,
    ]), @r"
    the lifecycle service and the workers were replaced
        send registration
        timer registration#1 in 300 s
      = pending_content, waits for registration | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    the lifecycle service confirmed the registration
        clear timer registration
        open essays spellcheck#1
        send command spellcheck#1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1
    ");
}

#[test]
fn a_single_essay_is_requested_again() {
    assert_snapshot!(play_on(vec![single(), stored(1)], [Input::ServicesReplaced]), @r"
    the lifecycle service and the workers were replaced
        clear timers
        send registration
        send spellcheck requests #1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1
    ");
}

#[test]
fn a_phase_that_only_lacks_its_outcome_ends_by_its_timer_and_the_next_one_registers_first() {
    let before = [running(1, &[Spellcheck, Nlp]), vec![news(Spellcheck, 1, 1, 0)]].concat();
    assert_snapshot!(play_on(before, [
        Input::ServicesReplaced,
        timer(TimerKind::OutcomeGrace, 1, Some(Spellcheck), 1),
        timer(TimerKind::Registration, 1, None, 1),
    ]), @r"
    the lifecycle service and the workers were replaced
        timer outcome_grace spellcheck#1 in 30 s
      = processing, waits for outcome | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 in_progress 1+0/1 | nlp#0 pending_dependencies
    spellcheck ended completed_successfully by the results of its essays, because no outcome arrived
        clear timers
        open essays nlp#1
        send registration
        timer registration#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for registration | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 1+0/1 without outcome | nlp#1 dispatch_initiated 0+0/1
    the lifecycle service has not confirmed the registration in time
      = processing, waits for registration, look: registration_overdue | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 1+0/1 without outcome | nlp#1 dispatch_initiated 0+0/1
    ");
}
