//! Stage `Running`: a phase runs.

use chrono::{DateTime, Utc};

use super::effect::Effect;
use super::input::{CancelMode, Input, Timer, TimerKind};
use super::reason::{EndedBy, Reason};
use super::step::{Step, Via, take_up_to};
use crate::batch::{Running, Stage};
use crate::phase::{FailureCode, Phase, PhaseStatus};
use crate::refusal::{CurrentState, Refusal};
use crate::settings::after;
use crate::status::{AttentionCode, Verb, WaitingCode};

#[expect(clippy::needless_pass_by_value, reason = "every stage has the same signature")]
pub(super) fn decide(step: &mut Step<'_>, running: Running, input: Input) -> Result<Reason, Refusal> {
    match input {
        Input::Accept(_) => Err(Refusal::AlreadyExists),
        Input::Append { .. } => Err(Refusal::NotOpen { current: CurrentState::from(&step.batch) }),
        Input::Close => Ok(Reason::Unchanged),
        Input::Start { .. } => {
            Err(Refusal::AlreadyRunning { phase: running.phase, current: CurrentState::from(&step.batch) })
        }
        Input::EssaysReported { phase, attempt, succeeded, failed, stale } => {
            if running.is_at(phase, attempt) {
                step.count_late(stale);
                Ok(essays_reported(step, running, succeeded, failed))
            } else {
                Ok(step.count_late(succeeded.saturating_add(failed).saturating_add(stale)))
            }
        }
        Input::PhaseConcluded { phase, attempt, status, succeeded, failed } => {
            if running.is_at(phase, attempt) {
                Ok(concluded(step, running, EndedBy::Outcome(status), succeeded, failed))
            } else {
                Ok(step.count_late(succeeded.saturating_add(failed)))
            }
        }
        Input::DeadlinePassed(timer) => Ok(deadline_passed(step, running, timer)),
        Input::Pause => Ok(step.pause()),
        Input::Resume => Ok(step.resume()),
        Input::Cancel { mode: CancelMode::Graceful } if running.cancelling => Ok(Reason::Unchanged),
        Input::Cancel { mode: CancelMode::Graceful } => {
            let phase = running.phase;
            step.batch.stage = Stage::Running(Running { cancelling: true, ..running });
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
        Input::ServicesReplaced => Ok(services_replaced(step, running)),
        Input::Registered if step.batch.unregistered => Ok(registered(step, running)),
        // Two events confirm a registration; every text was stored or refused before.
        Input::Registered | Input::TextsStored { .. } | Input::StorageStalled { .. } => Ok(Reason::Stale),
    }
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
    let phase = running.phase;
    let open = running.open;
    note_sign_of_life(step, &mut running);
    if open > 0 {
        step.wait(WaitingCode::Results, Some(open), phase_deadline(step, phase));
    } else {
        let at = after(step.now, step.settings.outcome_grace);
        step.set_timer(TimerKind::OutcomeGrace, Some(phase), running.attempt, at);
        step.wait(WaitingCode::Outcome, None, Some(at));
    }
    step.batch.stage = Stage::Running(running);
    match open {
        0 => Reason::OutcomeAwaited { phase },
        _ => Reason::EssaysReported { phase, succeeded, failed, open },
    }
}

/// The services that worked on the phase were replaced. Essays keep their results; open essays are dispatched again.
fn services_replaced(step: &mut Step<'_>, running: Running) -> Reason {
    step.forget_registration();
    // Without an open essay only the outcome is missing, and its timer ends the phase.
    if running.open > 0 {
        step.emit(Effect::ClearTimers);
        dispatch(step, running);
    }
    Reason::ServicesReplaced
}

/// The replaced lifecycle service has confirmed the registration, so the command can be sent.
fn registered(step: &mut Step<'_>, running: Running) -> Reason {
    step.batch.unregistered = false;
    step.emit(Effect::ClearTimer(TimerKind::Registration));
    if running.expects_outcome && running.open > 0 {
        dispatch(step, running);
    }
    Reason::Registered
}

/// Dispatches the open essays again; the time-outs of the phase start anew.
fn dispatch(step: &mut Step<'_>, mut running: Running) {
    let (phase, attempt, open, now) = (running.phase, running.attempt, running.open, step.now);
    let via = if running.expects_outcome { Via::Command } else { Via::Requests };
    step.batch.attention = None;
    step.batch.edit_record(phase, |record| record.started_at = Some(now));
    running.seen_life = false;
    step.batch.stage = Stage::Running(running);
    step.dispatch(phase, attempt, open, via);
}

/// Ends the phase. Essays that are still open fail: with [`FailureCode::PhaseTimeout`] at the deadline, otherwise with
/// [`FailureCode::NotInOutcome`].
fn concluded(step: &mut Step<'_>, mut running: Running, by: EndedBy, succeeded: u32, failed: u32) -> Reason {
    count(step, &mut running, succeeded, failed);
    let code = if by == EndedBy::Deadline { FailureCode::PhaseTimeout } else { FailureCode::NotInOutcome };
    fail_open(step, &mut running, code);
    step.end_phase(running, by)
}

fn deadline_passed(step: &mut Step<'_>, running: Running, timer: Timer) -> Reason {
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
        TimerKind::Start if is_ours && !running.seen_life && step.batch.attention.is_none() => {
            step.raise_attention(AttentionCode::NoSignOfLife);
            let due = phase_deadline(step, running.phase);
            step.wait(WaitingCode::Results, Some(running.open), due);
            Reason::NoSignOfLife { phase: running.phase }
        }
        TimerKind::Phase if is_ours && running.open > 0 => concluded(step, running, EndedBy::Deadline, 0, 0),
        TimerKind::Phase | TimerKind::OutcomeGrace if is_ours && running.open == 0 => {
            concluded(step, running, EndedBy::MissingOutcome, 0, 0)
        }
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

fn fail_open(step: &mut Step<'_>, running: &mut Running, code: FailureCode) {
    if running.open == 0 {
        return;
    }
    let open = running.open;
    step.emit(Effect::FailOpenEssays { phase: running.phase, attempt: running.attempt, code });
    step.batch.edit_record(running.phase, |record| record.error_code = Some(code));
    count(step, running, 0, open);
}

/// Records the first result of an attempt, which clears the start timer and the attention.
fn note_sign_of_life(step: &mut Step<'_>, running: &mut Running) {
    if std::mem::replace(&mut running.seen_life, true) {
        return;
    }
    step.emit(Effect::ClearTimer(TimerKind::Start));
    step.batch.attention = None;
    step.batch.edit_record(running.phase, |record| record.status = PhaseStatus::InProgress);
}

fn phase_deadline(step: &Step<'_>, phase: Phase) -> Option<DateTime<Utc>> {
    let started_at = step.batch.record(phase)?.started_at?;
    Some(after(started_at, step.settings.phase_timeout.get(phase)))
}
