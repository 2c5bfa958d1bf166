//! Outcomes of the lifecycle service, and their absence.
//!
//! An outcome is a snapshot of the essays whose status there belongs to the phase, and comes only while none of them is
//! unfinished. The lifecycle service keeps no record of a command, so an outcome can leave essays of the attempt unnamed. The
//! next command must not be sent before every essay was named: the lifecycle service would silently skip the essays that it
//! has not moved yet.

use super::{count, note_sign_of_life, phase_deadline, silence};
use crate::batch::{Running, Stage};
use crate::decide::input::{LifecycleAnswer, OutcomeStatus, TimerKind};
use crate::decide::reason::{EndedBy, Reason};
use crate::decide::step::Step;
use crate::settings::after;
use crate::status::{AttentionCode, WaitingCode};

/// Merges an outcome. It ends the phase when it leaves no essay of the attempt unnamed.
pub(super) fn reported(
    step: &mut Step<'_>,
    mut running: Running,
    status: OutcomeStatus,
    (succeeded, failed): (u32, u32),
    unnamed: u32,
) -> Reason {
    let (succeeded, failed) = count(step, &mut running, succeeded, failed);
    if unnamed == 0 && running.open == 0 {
        return step.end_phase(running, EndedBy::Outcome(status));
    }
    let Running { phase, open, .. } = running;
    if succeeded + failed > 0 {
        note_sign_of_life(step, &mut running);
        if open > 0 {
            let next = silence::next_check(step, &running);
            step.wait(WaitingCode::Results, Some(open), next);
        } else {
            wait(step, &running, Some(unnamed));
        }
    } else if let Some(waiting_on) =
        step.batch.waiting_on.as_mut().filter(|waiting_on| waiting_on.code == WaitingCode::Outcome)
    {
        waiting_on.essays = Some(unnamed);
    }
    step.batch.stage = Stage::Running(running);
    Reason::OutcomeIncomplete { phase, unnamed }
}

/// Waits for an outcome, because every essay of the attempt has a result. `unnamed` is the number of essays that it must name,
/// where an earlier outcome has named the others.
pub(super) fn wait(step: &mut Step<'_>, running: &Running, unnamed: Option<u32>) {
    let mut next = phase_deadline(step, running.phase);
    if step.settings.asks_lifecycle {
        let at = after(step.now, step.settings.outcome_grace);
        step.set_timer(TimerKind::OutcomeGrace, Some(running.phase), running.attempt, at);
        next = next.into_iter().chain([at]).min();
    }
    step.wait(WaitingCode::Outcome, unnamed, next);
}

/// The outcome is late. The phase ends if the lifecycle service has finished every essay; otherwise it is asked again, after a
/// wait that doubles up to the start time-out.
pub(super) fn late(step: &mut Step<'_>, running: Running, answer: Option<LifecycleAnswer>) -> Reason {
    if !running.expects_outcome {
        return step.end_phase(running, EndedBy::MissingOutcome);
    }
    if answer.is_some_and(LifecycleAnswer::is_finished) {
        return step.end_phase(running, EndedBy::LifecycleStatus);
    }
    if !step.settings.asks_lifecycle {
        return Reason::Stale;
    }
    let Running { phase, attempt, .. } = running;
    let waiting_on = step.batch.waiting_on.filter(|waiting_on| waiting_on.code == WaitingCode::Outcome);
    let waited = waiting_on.and_then(|waiting_on| (step.now - waiting_on.since).to_std().ok());
    let grace = step.settings.outcome_grace;
    let longest = step.settings.start_timeout.get(phase).max(grace);
    let at = after(step.now, waited.unwrap_or(grace).clamp(grace, longest));
    step.set_timer(TimerKind::OutcomeGrace, Some(phase), attempt, at);
    let next = phase_deadline(step, phase).filter(|due| *due > step.now).into_iter().chain([at]).min();
    step.wait(WaitingCode::Outcome, waiting_on.and_then(|waiting_on| waiting_on.essays), next);
    Reason::OutcomeLate { phase }
}

/// No outcome arrived within the time of the phase. A command that follows could come too early, so the batch needs attention
/// and waits on. Where none follows, the results of the essays end the phase.
pub(super) fn timed_out(step: &mut Step<'_>, running: Running) -> Reason {
    let phase = running.phase;
    let goes_on = !running.cancelling && !step.batch.plan.is_empty() && step.batch.waiting > 0;
    if !goes_on || !running.expects_outcome {
        return step.end_phase(running, EndedBy::MissingOutcome);
    }
    if step.batch.is_outcome_overdue() {
        return Reason::Stale;
    }
    step.raise_attention(AttentionCode::OutcomeOverdue);
    let waiting_on = step.batch.waiting_on;
    let next = waiting_on.and_then(|waiting_on| waiting_on.next_check_at).filter(|at| *at > step.now);
    step.wait(WaitingCode::Outcome, waiting_on.and_then(|waiting_on| waiting_on.essays), next);
    Reason::OutcomeOverdue { phase }
}
