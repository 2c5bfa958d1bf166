//! A phase is at work.

use chrono::{DateTime, Utc};

use super::effect::Effect;
use super::input::{CancelMode, Input, Timer, TimerKind};
use super::reason::{EndedBy, Reason};
use super::refusal::{Refusal, Standing};
use super::step::{Step, Via, take};
use crate::batch::{Running, Stage};
use crate::phase::{FailureCode, Phase, PhaseStatus};
use crate::settings::after;
use crate::status::{AttentionCode, Verb, WaitingCode};
use crate::words::counted;

#[expect(clippy::needless_pass_by_value, reason = "every stage takes its input alike")]
pub(super) fn decide(step: &mut Step<'_>, running: Running, input: Input) -> Result<Reason, Refusal> {
    match input {
        Input::Accept(_) => Err(Refusal::AlreadyExists),
        Input::Append { .. } => Err(Refusal::NotOpen { standing: Standing::from(&step.batch) }),
        Input::Close => Ok(Reason::Unchanged),
        Input::Start { .. } => {
            Err(Refusal::AlreadyRunning { phase: running.phase, standing: Standing::from(&step.batch) })
        }
        Input::EssaysReported { phase, attempt, succeeded, failed, stale } => {
            if running.is_at(phase, attempt) {
                step.late(stale);
                Ok(essays_reported(step, running, succeeded, failed))
            } else {
                Ok(step.late(succeeded.saturating_add(failed).saturating_add(stale)))
            }
        }
        Input::PhaseConcluded { phase, attempt, word, succeeded, failed } => {
            if running.is_at(phase, attempt) {
                Ok(concluded(step, running, EndedBy::Outcome(word), succeeded, failed))
            } else {
                Ok(step.late(succeeded.saturating_add(failed)))
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
        Input::Retry { .. } => Err(Refusal::not_now(Verb::Retry, &step.batch)),
        Input::NeighboursReplaced => Ok(neighbours_replaced(step, running)),
        Input::Registered if step.batch.unregistered => Ok(registered(step, running)),
        // The registration is confirmed by two events; texts are all accounted for.
        Input::Registered | Input::TextsStored { .. } | Input::StorageStalled { .. } => Ok(Reason::OldNews),
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
        return Reason::OldNews;
    }
    if running.open == 0 && !running.expects_outcome {
        return step.end_phase(running, EndedBy::News);
    }
    let phase = running.phase;
    let open = running.open;
    live(step, &mut running);
    if open > 0 {
        step.wait(WaitingCode::Results, counted(open, "essay"), phase_deadline(step, phase));
    } else {
        let at = after(step.now, step.settings.outcome_grace);
        step.set_timer(TimerKind::OutcomeGrace, Some(phase), running.attempt, at);
        step.wait(WaitingCode::Outcome, String::new(), Some(at));
    }
    step.batch.stage = Stage::Running(running);
    match open {
        0 => Reason::OutcomeAwaited { phase },
        _ => Reason::EssaysReported { phase, succeeded, failed, open },
    }
}

/// Who worked on the phase is gone. Essays that have their word keep it; the others go to whoever serves now.
fn neighbours_replaced(step: &mut Step<'_>, running: Running) -> Reason {
    step.forget_registration();
    // Without an open essay only the outcome is missing. Its time-out ends the phase.
    if running.open > 0 {
        step.emit(Effect::ClearTimers);
        dispatch(step, running);
    }
    Reason::NeighboursReplaced
}

/// A lifecycle service that had not heard of the batch knows it now, so the command may go.
fn registered(step: &mut Step<'_>, running: Running) -> Reason {
    step.batch.unregistered = false;
    step.emit(Effect::ClearTimer(TimerKind::Registration));
    if running.expects_outcome && running.open > 0 {
        dispatch(step, running);
    }
    Reason::Registered
}

/// Has the open essays worked on, counted from now.
fn dispatch(step: &mut Step<'_>, mut running: Running) {
    let (phase, attempt, open, now) = (running.phase, running.attempt, running.open, step.now);
    let via = if running.expects_outcome { Via::Command } else { Via::Requests };
    step.batch.attention = None;
    step.batch.edit_record(phase, |record| record.started_at = Some(now));
    running.seen_life = false;
    step.batch.stage = Stage::Running(running);
    step.dispatch(phase, attempt, open, via);
}

/// Ends the phase. Essays that nobody spoke of have failed with it.
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
            step.attend(AttentionCode::RegistrationOverdue);
            let due = phase_deadline(step, running.phase);
            step.wait(WaitingCode::Registration, String::new(), due);
            Reason::RegistrationOverdue
        }
        TimerKind::Start if is_ours && !running.seen_life && step.batch.attention.is_none() => {
            step.attend(AttentionCode::NoSignOfLife);
            let due = phase_deadline(step, running.phase);
            step.wait(WaitingCode::Results, counted(running.open, "essay"), due);
            Reason::NoSignOfLife { phase: running.phase }
        }
        TimerKind::Phase if is_ours && running.open > 0 => concluded(step, running, EndedBy::Deadline, 0, 0),
        TimerKind::Phase | TimerKind::OutcomeGrace if is_ours && running.open == 0 => {
            concluded(step, running, EndedBy::MissingOutcome, 0, 0)
        }
        TimerKind::Start | TimerKind::Phase | TimerKind::OutcomeGrace | TimerKind::Registration => {
            Reason::OldNews
        }
    }
}

/// Takes the essays that got a word out of the open ones. Where they go depends on what is still planned, as in
/// [`Batch::essay_state_after_success`](crate::Batch::essay_state_after_success).
fn count(step: &mut Step<'_>, running: &mut Running, succeeded: u32, failed: u32) -> (u32, u32) {
    let succeeded = take(&mut running.open, succeeded);
    let failed = take(&mut running.open, failed);
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

/// The first sign of life: somebody works on it, so nobody needs to look.
fn live(step: &mut Step<'_>, running: &mut Running) {
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
