//! Stage `Running`: a phase runs.
//!
//! [`outcome`] says when the outcomes of the lifecycle service end the phase, [`silence`] what is sent again.

mod outcome;
mod silence;

use chrono::{DateTime, Utc};

use super::effect::Effect;
use super::input::{CancelMode, Input, LifecycleAnswer, Timer, TimerKind};
use super::reason::{EndedBy, Reason};
use super::step::{Step, Via, take_up_to};
use crate::batch::{Running, Stage};
use crate::phase::{FailureCode, Phase, PhaseStatus};
use crate::refusal::{Refusal, Standing};
use crate::settings::after;
use crate::status::{AttentionCode, Verb, WaitingCode};

pub(super) fn decide(step: &mut Step<'_>, running: Running, input: Input) -> Result<Reason, Refusal> {
    match input {
        Input::Accept(_) => Err(Refusal::AlreadyExists),
        Input::Append { .. } => Err(Refusal::NotOpen { standing: Standing::from(&step.batch) }),
        Input::Close => Ok(Reason::Unchanged),
        Input::Start { phases }
            if step.batch.is_outcome_overdue()
                && !phases.is_empty()
                && phases.iter().all(|phase| step.batch.plan.contains(phase)) =>
        {
            Ok(step.end_phase(running, EndedBy::Resumed))
        }
        Input::Start { .. } => {
            Err(Refusal::AlreadyRunning { phase: running.phase, standing: Standing::from(&step.batch) })
        }
        Input::EssaysReported { phase, attempt, succeeded, failed, stale } => {
            if running.is_at(phase, attempt) {
                step.count_late(stale);
                Ok(essays_reported(step, running, succeeded, failed))
            } else {
                Ok(step.count_late(succeeded.saturating_add(failed).saturating_add(stale)))
            }
        }
        Input::OutcomeReported { phase, attempt, status, succeeded, failed, unnamed } => {
            // Where no outcome is expected, the lifecycle service does not know what was requested.
            if running.is_at(phase, attempt) && running.expects_outcome {
                let named = (succeeded, failed);
                Ok(outcome::reported(step, running, status, named, unnamed))
            } else {
                Ok(step.count_late(succeeded.saturating_add(failed)))
            }
        }
        Input::DeadlinePassed(timer) => Ok(deadline_passed(step, running, timer, None)),
        Input::LifecycleAnswered { timer, answer } => Ok(deadline_passed(step, running, timer, Some(answer))),
        Input::Pause => Ok(step.pause()),
        Input::Resume if step.batch.is_outcome_overdue() => {
            step.batch.paused = false;
            Ok(step.end_phase(running, EndedBy::Resumed))
        }
        Input::Resume => Ok(step.resume()),
        Input::Cancel { mode: CancelMode::Graceful } if running.cancelling => Ok(Reason::Unchanged),
        Input::Cancel { mode: CancelMode::Graceful } => {
            let phase = running.phase;
            let running = Running { cancelling: true, ..running };
            if step.batch.is_outcome_overdue() {
                return Ok(step.end_phase(running, EndedBy::MissingOutcome));
            }
            step.batch.stage = Stage::Running(running);
            Ok(Reason::Cancelling { phase })
        }
        Input::Cancel { mode: CancelMode::Abandon } => {
            let now = step.now;
            step.batch.edit_record(running.phase, |record| {
                record.status = PhaseStatus::Cancelled;
                record.completed_at = Some(now);
            });
            Ok(step.cancel())
        }
        Input::Retry { .. } => Err(Refusal::wrong_stage(Verb::Retry, &step.batch)),
        Input::NeighboursReplaced => Ok(neighbours_replaced(step, running)),
        Input::Registered if step.batch.unregistered => Ok(registered(step, running)),
        // Two events confirm a registration; every text was stored or refused before.
        Input::Registered | Input::TextsStored { .. } | Input::StorageStalled { .. } => Ok(Reason::Stale),
    }
}

/// How the running attempt was started.
const fn via(running: &Running) -> Via {
    if running.expects_outcome { Via::Command } else { Via::Requests }
}

impl Running {
    fn is_at(&self, phase: Phase, attempt: u32) -> bool {
        (self.phase, self.attempt) == (phase, attempt)
    }
}

fn essays_reported(step: &mut Step<'_>, mut running: Running, succeeded: u32, failed: u32) -> Reason {
    let (succeeded, failed) = count(step, &mut running, succeeded, failed);
    if succeeded + failed == 0 {
        return Reason::Stale;
    }
    if running.open == 0 && !running.expects_outcome {
        return step.end_phase(running, EndedBy::Results);
    }
    let Running { phase, open, .. } = running;
    note_sign_of_life(step, &mut running);
    if open > 0 {
        let next = silence::next_check(step, &running);
        step.wait(WaitingCode::Results, Some(open), next);
    } else {
        outcome::wait(step, &running, None);
    }
    step.batch.stage = Stage::Running(running);
    match open {
        0 => Reason::OutcomeAwaited { phase },
        _ => Reason::EssaysReported { phase, succeeded, failed, open },
    }
}

/// The services that worked on the phase were replaced. Essays keep their results; open essays are dispatched again.
fn neighbours_replaced(step: &mut Step<'_>, mut running: Running) -> Reason {
    step.forget_registration();
    if running.open > 0 {
        step.emit(Effect::ClearTimers);
        dispatch(step, running);
    } else {
        // The lifecycle service that owed the outcome is gone.
        running.expects_outcome = false;
        let at = after(step.now, step.settings.outcome_grace);
        step.set_timer(TimerKind::OutcomeGrace, Some(running.phase), running.attempt, at);
        step.batch.attention = None;
        step.batch.stage = Stage::Running(running);
        step.wait(WaitingCode::Outcome, None, Some(at));
    }
    Reason::NeighboursReplaced
}

/// The replaced lifecycle service has confirmed the registration, so the command can be sent.
fn registered(step: &mut Step<'_>, running: Running) -> Reason {
    let reason = step.confirm_registration();
    if running.expects_outcome && running.open > 0 {
        dispatch(step, running);
    }
    reason
}

/// Dispatches the open essays again; the time-outs of the phase start anew.
fn dispatch(step: &mut Step<'_>, mut running: Running) {
    let (phase, attempt, open, now) = (running.phase, running.attempt, running.open, step.now);
    let via = via(&running);
    step.batch.attention = None;
    step.batch.edit_record(phase, |record| record.started_at = Some(now));
    running.seen_life = false;
    running.quiet_since = None;
    step.batch.stage = Stage::Running(running);
    step.dispatch(phase, attempt, open, via);
}

/// Ends the phase at its deadline. Essays that are still open fail.
fn timed_out(step: &mut Step<'_>, mut running: Running) -> Reason {
    let open = running.open;
    let code = FailureCode::PhaseTimeout;
    step.emit(Effect::FailOpenEssays { phase: running.phase, attempt: running.attempt, code });
    step.batch.edit_record(running.phase, |record| record.error_code = Some(code));
    count(step, &mut running, 0, open);
    step.end_phase(running, EndedBy::Deadline)
}

fn deadline_passed(
    step: &mut Step<'_>,
    running: Running,
    timer: Timer,
    answer: Option<LifecycleAnswer>,
) -> Reason {
    let is_ours =
        timer.run == step.batch.run && timer.phase == Some(running.phase) && timer.attempt == running.attempt;
    let waits_for_registration = step.batch.unregistered && timer.run == step.batch.run;
    match timer.kind {
        TimerKind::Registration if waits_for_registration && step.batch.attention.is_none() => {
            step.raise_attention(AttentionCode::RegistrationOverdue);
            let due = phase_deadline(step, running.phase);
            step.wait(WaitingCode::Registration, None, due);
            Reason::RegistrationOverdue
        }
        TimerKind::Start if is_ours && running.open > 0 => silence::decide(step, running, answer),
        TimerKind::OutcomeGrace if is_ours && running.open == 0 => outcome::late(step, running, answer),
        TimerKind::Phase if is_ours && running.open > 0 => timed_out(step, running),
        TimerKind::Phase if is_ours => outcome::timed_out(step, running),
        TimerKind::Start | TimerKind::Phase | TimerKind::OutcomeGrace | TimerKind::Registration => {
            Reason::Stale
        }
    }
}

/// Moves essays with a final result out of the open ones. Where succeeded essays go depends on the plan, as in
/// [`Batch::essay_state_after_success`](crate::Batch::essay_state_after_success).
fn count(step: &mut Step<'_>, running: &mut Running, succeeded: u32, failed: u32) -> (u32, u32) {
    let succeeded = take_up_to(&mut running.open, succeeded);
    let failed = take_up_to(&mut running.open, failed);
    let next = if step.batch.plan.is_empty() { &mut step.batch.succeeded } else { &mut step.batch.waiting };
    *next += succeeded;
    step.batch.failed += failed;
    step.batch.edit_record(running.phase, |record| {
        record.succeeded += succeeded;
        record.failed += failed;
    });
    (succeeded, failed)
}

/// Records that results arrived. The first of an attempt removes the attention.
fn note_sign_of_life(step: &mut Step<'_>, running: &mut Running) {
    running.quiet_since = Some(step.now);
    if std::mem::replace(&mut running.seen_life, true) {
        return;
    }
    step.batch.attention = None;
    step.batch.edit_record(running.phase, |record| record.status = PhaseStatus::InProgress);
}

fn phase_deadline(step: &Step<'_>, phase: Phase) -> Option<DateTime<Utc>> {
    let started_at = step.batch.record(phase)?.started_at?;
    Some(after(started_at, step.settings.phase_timeout.get(phase)))
}
