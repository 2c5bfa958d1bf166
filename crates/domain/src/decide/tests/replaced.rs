//! What becomes of a batch when other neighbours serve from some moment on.

use insta::assert_snapshot;

use super::play::{class, news, outcome, play_on, running, single, start, stored, timer};
use crate::Phase::{Nlp, Spellcheck};
use crate::decide::{Input, TimerKind};

#[test]
fn a_phase_at_work_is_commanded_anew_for_its_open_essays_once_the_batch_is_registered() {
    let before = [running(3, &[Spellcheck, Nlp]), vec![news(Spellcheck, 1, 1, 0)]].concat();
    assert_snapshot!(play_on(before, [
        Input::NeighboursReplaced,
        Input::Registered,
        Input::Registered,
        outcome(Spellcheck, 1, 2, 0),
    ]), @r"
    other neighbours serve now, who are told what they must know
        clear timers
        send registration
        timer registration#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for registration | 1 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 in_progress 1+0/3 | nlp#0 pending_dependencies
    the lifecycle service knows the batch
        clear timer registration
        send command spellcheck#1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results 2 essays | 1 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 in_progress 1+0/3 | nlp#0 pending_dependencies
    news about something that is over
    spellcheck ended completed_successfully, its outcome says completed_successfully
        clear timers
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results 3 essays | 0 waiting, 3 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 3+0/3 | nlp#1 dispatch_initiated 0+0/3
    ");
}

#[test]
fn a_batch_that_ended_is_registered_when_it_is_started_again() {
    let before = [running(2, &[Spellcheck]), vec![outcome(Spellcheck, 1, 2, 0)]].concat();
    assert_snapshot!(play_on(before, [
        Input::NeighboursReplaced,
        Input::NeighboursReplaced,
        start(&[Nlp]),
        Input::Registered,
    ]), @r"
    other neighbours serve now, who are told what they must know
      = completed_successfully | 0 waiting, 0 open, 2 ok, 0 failed | spellcheck#1 completed_successfully 2+0/2
    other neighbours serve now, who are told what they must know
    asked to run nlp
        revive essays that succeeded
        open essays nlp#1
        send registration
        timer registration#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for registration | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 2+0/2 | nlp#1 dispatch_initiated 0+0/2
    the lifecycle service knows the batch
        clear timer registration
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results 2 essays | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 2+0/2 | nlp#1 dispatch_initiated 0+0/2
    ");
}

#[test]
fn a_registration_that_nobody_confirmed_is_sent_again() {
    assert_snapshot!(play_on(vec![class(1, &[Spellcheck]), stored(1)], [
        Input::NeighboursReplaced,
        Input::Registered,
    ]), @r"
    other neighbours serve now, who are told what they must know
        send registration
        timer registration#1 in 300 s
      = pending_content, waits for registration | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    the lifecycle service knows the batch
        clear timer registration
        open essays spellcheck#1
        send command spellcheck#1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results 1 essay | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1
    ");
}

#[test]
fn a_single_essay_is_requested_anew() {
    assert_snapshot!(play_on(vec![single(), stored(1)], [Input::NeighboursReplaced]), @r"
    other neighbours serve now, who are told what they must know
        clear timers
        send spellcheck requests #1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results 1 essay | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1
    ");
}

#[test]
fn where_only_the_outcome_is_missing_its_time_out_ends_the_phase_and_the_next_one_registers_first() {
    let before = [running(1, &[Spellcheck, Nlp]), vec![news(Spellcheck, 1, 1, 0)]].concat();
    assert_snapshot!(play_on(before, [
        Input::NeighboursReplaced,
        timer(TimerKind::OutcomeGrace, 1, Some(Spellcheck), 1),
        timer(TimerKind::Registration, 1, None, 1),
    ]), @r"
    other neighbours serve now, who are told what they must know
      = processing, waits for outcome | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 in_progress 1+0/1 | nlp#0 pending_dependencies
    spellcheck ended completed_successfully, as the news about its essays says, since no outcome came
        clear timers
        open essays nlp#1
        send registration
        timer registration#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for registration | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 1+0/1 without outcome | nlp#1 dispatch_initiated 0+0/1
    the lifecycle service has not confirmed the batch in time
      = processing, waits for registration, look: registration_overdue | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 1+0/1 without outcome | nlp#1 dispatch_initiated 0+0/1
    ");
}
