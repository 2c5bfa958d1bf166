//! Outcomes that come late, leave essays unnamed or never come, and commands and requests that are lost.

use insta::assert_snapshot;

use super::play::{
    answered, cancel, news, outcome, partial_outcome, play_at, play_on, running, single, start, stored, timer,
};
use crate::Phase::{Nlp, Spellcheck};
use crate::decide::{CancelMode, Input, TimerKind};
use crate::{Batch, Settings, SingleEssayRoad};

/// The lifecycle service can be asked.
fn asking() -> Settings {
    Settings { asks_lifecycle: true, ..Settings::default() }
}

/// The transcript of `inputs` alone, after the first phase of a class began. Each input has the seconds that pass before it.
fn play_after_start(settings: &Settings, essays: u32, inputs: Vec<(i64, Input)>) -> (Batch, String) {
    let before: Vec<_> = running(essays, &[Spellcheck, Nlp]).into_iter().map(|input| (1, input)).collect();
    let skipped = play_at(settings, before.clone()).1.len();
    let (batch, mut story) = play_at(settings, [before, inputs].concat());
    (batch.unwrap(), story.split_off(skipped))
}

fn start_due() -> Input {
    timer(TimerKind::Start, 1, Some(Spellcheck), 1)
}

#[test]
fn a_late_outcome_holds_the_next_command_back_until_it_has_named_every_essay() {
    let (_, story) = play_after_start(
        &Settings::default(),
        3,
        vec![
            (1, news(Spellcheck, 1, 3, 0)),
            // Rows of earlier programs have this timer.
            (30, timer(TimerKind::OutcomeGrace, 1, Some(Spellcheck), 1)),
            (14, partial_outcome(Spellcheck, 1, (0, 0), 1)),
            (1, partial_outcome(Spellcheck, 1, (0, 0), 1)),
            (1, outcome(Spellcheck, 1, 0, 0)),
        ],
    );
    assert_snapshot!(story, @r"
    spellcheck: every essay has a result, the outcome is awaited
      = processing, waits for outcome | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 in_progress 3+0/3 | nlp#0 pending_dependencies
    news about something that has ended
    spellcheck: the outcome leaves 1 essay unnamed
      = processing, waits for outcome of 1 | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 in_progress 3+0/3 | nlp#0 pending_dependencies
    spellcheck: the outcome leaves 1 essay unnamed
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
fn without_an_outcome_the_next_phase_waits_for_it_or_for_a_resume_request() {
    let overdue =
        vec![(1, news(Spellcheck, 1, 1, 1)), (1800, timer(TimerKind::Phase, 1, Some(Spellcheck), 1))];
    let (batch, story) =
        play_after_start(&Settings::default(), 2, [overdue.clone(), vec![(60, Input::Resume)]].concat());
    assert_snapshot!(story, @r"
    spellcheck: every essay has a result, the outcome is awaited
      = processing, waits for outcome | 1 waiting, 0 open, 0 ok, 1 failed | spellcheck#1 in_progress 1+1/2 | nlp#0 pending_dependencies
    spellcheck: no outcome arrived within the time of the phase; a request for the next phase goes on without it
      = processing, waits for outcome, look: outcome_overdue | 1 waiting, 0 open, 0 ok, 1 failed | spellcheck#1 in_progress 1+1/2 | nlp#0 pending_dependencies
    spellcheck ended completed_with_partial_success by the results of its essays, because a caller requested to go on
        clear timers
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 0 ok, 1 failed | spellcheck#1 completed_with_partial_success 1+1/2 without outcome | nlp#1 dispatch_initiated 0+0/1
    ");
    assert!(batch.record(Spellcheck).unwrap().outcome_missing);

    let (batch, _) =
        play_after_start(&Settings::default(), 2, [overdue.clone(), vec![(1, start(&[Nlp]))]].concat());
    assert_eq!(batch.current(), Some((Nlp, 1)), "the request for the next phase goes on, too");

    let (batch, _) = play_after_start(
        &Settings::default(),
        2,
        [overdue.clone(), vec![(9000, outcome(Spellcheck, 1, 0, 0))]].concat(),
    );
    assert_eq!(batch.current(), Some((Nlp, 1)), "the outcome counts whenever it comes");
    assert_eq!(batch.attention, None);

    let graceful = vec![(1, cancel(CancelMode::Graceful))];
    let (batch, _) = play_after_start(&Settings::default(), 2, [overdue, graceful].concat());
    assert!(batch.is_ended(), "no command follows, so nothing is waited for");
}

#[test]
fn a_last_phase_without_an_outcome_ends_with_its_time() {
    assert_snapshot!(play_on(running(2, &[Spellcheck]), [
        news(Spellcheck, 1, 2, 0),
        news(Spellcheck, 1, 0, 0),
        timer(TimerKind::Phase, 1, Some(Spellcheck), 1),
    ]), @r"
    spellcheck: every essay has a result, the outcome is awaited
      = processing, waits for outcome | 0 waiting, 0 open, 2 ok, 0 failed | spellcheck#1 in_progress 2+0/2
    news about something that has ended
    spellcheck ended completed_successfully by the results of its essays, because no outcome arrived
        clear timers
        send pipeline completed, run 1
      = completed_successfully | 0 waiting, 0 open, 2 ok, 0 failed | spellcheck#1 completed_successfully 2+0/2 without outcome
    ");
}

#[test]
fn a_lifecycle_service_that_has_finished_every_essay_replaces_the_outcome() {
    let grace = |numbers| answered(TimerKind::OutcomeGrace, Spellcheck, numbers);
    let (_, story) = play_after_start(
        &asking(),
        2,
        vec![
            (1, news(Spellcheck, 1, 2, 0)),
            // It did not answer.
            (30, timer(TimerKind::OutcomeGrace, 1, Some(Spellcheck), 1)),
            (30, grace((1, 0, 1))),
            (60, grace((0, 1, 1))),
            // It knows no essay of the phase, so it has not finished any.
            (120, grace((0, 0, 0))),
            (240, grace((0, 0, 2))),
        ],
    );
    assert_snapshot!(story, @r"
    spellcheck: every essay has a result, the outcome is awaited
        timer outcome_grace spellcheck#1 in 30 s
      = processing, waits for outcome | 2 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 in_progress 2+0/2 | nlp#0 pending_dependencies
    spellcheck: the lifecycle service was asked and has not reported the end yet
        timer outcome_grace spellcheck#1 in 30 s
      = processing, waits for outcome | 2 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 in_progress 2+0/2 | nlp#0 pending_dependencies
    spellcheck: the lifecycle service was asked and has not reported the end yet
        timer outcome_grace spellcheck#1 in 60 s
      = processing, waits for outcome | 2 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 in_progress 2+0/2 | nlp#0 pending_dependencies
    spellcheck: the lifecycle service was asked and has not reported the end yet
        timer outcome_grace spellcheck#1 in 120 s
      = processing, waits for outcome | 2 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 in_progress 2+0/2 | nlp#0 pending_dependencies
    spellcheck: the lifecycle service was asked and has not reported the end yet
        timer outcome_grace spellcheck#1 in 240 s
      = processing, waits for outcome | 2 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 in_progress 2+0/2 | nlp#0 pending_dependencies
    spellcheck ended completed_successfully by the results of its essays, because the lifecycle service has finished them all
        clear timers
        open essays nlp#1
        send command nlp#1
        timer start nlp#1 in 300 s
        timer phase nlp#1 in 1800 s
      = processing, waits for results of 2 | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 completed_successfully 2+0/2 without outcome | nlp#1 dispatch_initiated 0+0/2
    ");
}

#[test]
fn a_lost_command_is_sent_again_at_most_twice_and_the_essays_fail_by_the_deadline() {
    let (_, story) = play_after_start(
        &Settings::default(),
        2,
        vec![
            (300, start_due()),
            (30, start_due()),
            (330, start_due()),
            (330, start_due()),
            (811, timer(TimerKind::Phase, 1, Some(Spellcheck), 1)),
        ],
    );
    assert_snapshot!(story, @r"
    no result of spellcheck arrived in time
        timer start spellcheck#1 in 30 s
      = processing, waits for results of 2, look: no_sign_of_life | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/2 | nlp#0 pending_dependencies
    spellcheck: sent again for 2 essays without a result (1 of at most 2)
        send command spellcheck#1, resend 1
        timer start spellcheck#1 in 330 s
      = processing, waits for results of 2 after 1 resends, look: no_sign_of_life | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/2 | nlp#0 pending_dependencies
    spellcheck: sent again for 2 essays without a result (2 of at most 2)
        send command spellcheck#1, resend 2
      = processing, waits for results of 2 after 2 resends, look: no_sign_of_life | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/2 | nlp#0 pending_dependencies
    already as requested
    spellcheck ended failed at its deadline
        fail open essays spellcheck#1: phase_timeout
        clear timers
        send pipeline completed, run 1
      = failed | 0 waiting, 0 open, 0 ok, 2 failed | spellcheck#1 failed 0+2/2 (phase_timeout) | nlp#0 skipped_due_to_dependency_failure
    ");
}

#[test]
fn a_command_is_not_sent_again_while_results_arrive() {
    let (_, story) = play_after_start(
        &Settings::default(),
        3,
        vec![
            (290, news(Spellcheck, 1, 1, 0)),
            (10, start_due()),
            (310, news(Spellcheck, 1, 1, 0)),
            (10, start_due()),
            (320, start_due()),
        ],
    );
    assert_snapshot!(story, @r"
    spellcheck: 1 succeeded, 0 failed, 2 open
      = processing, waits for results of 2 | 1 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 in_progress 1+0/3 | nlp#0 pending_dependencies
    already as requested
        timer start spellcheck#1 in 320 s
    spellcheck: 1 succeeded, 0 failed, 1 open
      = processing, waits for results of 1 | 2 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 in_progress 2+0/3 | nlp#0 pending_dependencies
    already as requested
        timer start spellcheck#1 in 320 s
    spellcheck: sent again for 1 essay without a result (1 of at most 2)
        send command spellcheck#1, resend 1
        timer start spellcheck#1 in 330 s
      = processing, waits for results of 1 after 1 resends | 2 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 in_progress 2+0/3 | nlp#0 pending_dependencies
    ");
}

#[test]
fn essays_that_an_outcome_leaves_unnamed_are_sent_once_more() {
    let (_, story) = play_after_start(
        &Settings::default(),
        3,
        vec![
            (1, partial_outcome(Spellcheck, 1, (2, 0), 1)),
            (299, start_due()),
            (31, start_due()),
            (1, news(Spellcheck, 1, 1, 0)),
            (1, outcome(Spellcheck, 1, 0, 0)),
        ],
    );
    assert_snapshot!(story, @r"
    spellcheck: the outcome leaves 1 essay unnamed
      = processing, waits for results of 1 | 2 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 in_progress 2+0/3 | nlp#0 pending_dependencies
    already as requested
        timer start spellcheck#1 in 31 s
    spellcheck: sent again for 1 essay without a result (1 of at most 2)
        send command spellcheck#1, resend 1
        timer start spellcheck#1 in 330 s
      = processing, waits for results of 1 after 1 resends | 2 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 in_progress 2+0/3 | nlp#0 pending_dependencies
    spellcheck: every essay has a result, the outcome is awaited
      = processing, waits for outcome after 1 resends | 3 waiting, 0 open, 0 ok, 0 failed | spellcheck#1 in_progress 3+0/3 | nlp#0 pending_dependencies
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
fn the_lifecycle_service_is_asked_before_a_command_is_sent_again() {
    let start = |numbers| answered(TimerKind::Start, Spellcheck, numbers);
    let (_, story) = play_after_start(
        &asking(),
        2,
        vec![
            (300, start((0, 2, 0))),
            (300, start((2, 0, 0))),
            // It does not answer: asked again once the silence is long enough without an answer, too.
            (300, start_due()),
            (30, start_due()),
        ],
    );
    assert_snapshot!(story, @r"
    no result of spellcheck arrived in time
        timer start spellcheck#1 in 300 s
      = processing, waits for results of 2, look: no_sign_of_life | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/2 | nlp#0 pending_dependencies
    spellcheck: sent again for 2 essays without a result (1 of at most 2)
        send command spellcheck#1, resend 1
        timer start spellcheck#1 in 300 s
      = processing, waits for results of 2 after 1 resends, look: no_sign_of_life | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/2 | nlp#0 pending_dependencies
    already as requested
        timer start spellcheck#1 in 30 s
      = processing, waits for results of 2 after 1 resends, look: no_sign_of_life | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/2 | nlp#0 pending_dependencies
    spellcheck: sent again for 2 essays without a result (2 of at most 2)
        send command spellcheck#1, resend 2
      = processing, waits for results of 2 after 2 resends, look: no_sign_of_life | 0 waiting, 2 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/2 | nlp#0 pending_dependencies
    ");
}

#[test]
fn a_lost_request_for_a_single_essay_is_sent_again() {
    let before = [single(), stored(1)].map(|input| (1, input));
    let (_, story) = play_at(
        &asking(),
        before.into_iter().chain([
            (300, start_due()),
            (30, answered(TimerKind::Start, Spellcheck, (0, 0, 0))),
            (1, outcome(Spellcheck, 1, 0, 1)),
            (1, news(Spellcheck, 1, 1, 0)),
        ]),
    );
    assert_snapshot!(story, @r"
    1 essay accepted
      = pending_content, waits for texts of 1 | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    no text is pending: 1 stored, 0 refused
        send registration
        open essays spellcheck#1
        send spellcheck requests #1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1
    no result of spellcheck arrived in time
        timer start spellcheck#1 in 30 s
      = processing, waits for results of 1, look: no_sign_of_life | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1
    spellcheck: sent again for 1 essay without a result (1 of at most 2)
        send spellcheck requests #1, resend 1
        timer start spellcheck#1 in 330 s
      = processing, waits for results of 1 after 1 resends, look: no_sign_of_life | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1
    news about something that has ended
    spellcheck ended completed_successfully by the results of its essays
        clear timers
      = completed_successfully | 0 waiting, 0 open, 1 ok, 0 failed | spellcheck#1 completed_successfully 1+0/1
    ");
}

#[test]
fn a_single_essay_can_go_by_the_lifecycle_service_like_a_class_of_one() {
    let settings = Settings { single_essay_road: SingleEssayRoad::Lifecycle, ..Settings::default() };
    let inputs =
        [single(), stored(1), Input::Registered, news(Spellcheck, 1, 1, 0), outcome(Spellcheck, 1, 0, 0)];
    let (_, story) = play_at(&settings, inputs.map(|input| (1, input)));
    assert_snapshot!(story, @r"
    1 essay accepted
      = pending_content, waits for texts of 1 | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    no text is pending: 1 stored, 0 refused
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
    spellcheck: every essay has a result, the outcome is awaited
      = processing, waits for outcome | 0 waiting, 0 open, 1 ok, 0 failed | spellcheck#1 in_progress 1+0/1
    spellcheck ended completed_successfully with the outcome completed_successfully
        clear timers
      = completed_successfully | 0 waiting, 0 open, 1 ok, 0 failed | spellcheck#1 completed_successfully 1+0/1
    ");
}

#[test]
fn where_another_service_registers_a_single_essay_is_requested_at_once() {
    let settings = Settings { registration: false, ..Settings::default() };
    let (_, story) = play_at(&settings, [single(), stored(1)].map(|input| (1, input)));
    assert_snapshot!(story, @r"
    1 essay accepted
      = pending_content, waits for texts of 1 | 1 waiting, 0 open, 0 ok, 0 failed | spellcheck#0 requested_by_user
    no text is pending: 1 stored, 0 refused
        open essays spellcheck#1
        send spellcheck requests #1
        timer start spellcheck#1 in 300 s
        timer phase spellcheck#1 in 1800 s
      = processing, waits for results of 1 | 0 waiting, 1 open, 0 ok, 0 failed | spellcheck#1 dispatch_initiated 0+0/1
    ");
}

#[test]
fn a_row_of_an_earlier_program_is_read_and_its_silence_counts_from_the_start() {
    let (batch, _) =
        play_at(&Settings::default(), running(2, &[Spellcheck]).into_iter().map(|input| (1, input)));
    let json = batch.unwrap().to_json().unwrap();
    assert!(!json.contains("resends") && !json.contains("quiet_since"), "{json}");
    let old = Batch::from_json(&json).unwrap();
    let at = old.updated_at + chrono::TimeDelta::seconds(330);
    let decision = crate::decide(Some(old), start_due(), at, &Settings::default()).unwrap();
    assert_eq!(
        decision.reason.to_string(),
        "spellcheck: sent again for 2 essays without a result (1 of at most 2)"
    );
}
