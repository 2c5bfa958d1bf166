//! Stage `Ended`: the run has ended. Only the next run leaves this stage; late results of this one are counted.

use super::effect::{Effect, Revive};
use super::input::Input;
use super::reason::Reason;
use super::step::{Step, Via, take_up_to};
use crate::phase::Phase;
use crate::refusal::{CurrentState, Refusal};

pub(super) fn decide(step: &mut Step<'_>, input: Input) -> Result<Reason, Refusal> {
    match input {
        Input::Accept(_) => Err(Refusal::AlreadyExists),
        Input::Append { .. } | Input::Pause | Input::Resume | Input::Cancel { mode: _ } => {
            Err(Refusal::BatchEnded { current: CurrentState::from(&step.batch) })
        }
        Input::Close => Ok(Reason::Unchanged),
        Input::ServicesReplaced => Ok(step.forget_registration()),
        Input::Start { phases } => start(step, &phases),
        Input::Retry { phase, essays, downstream } => retry(step, phase, essays, downstream),
        Input::Registered if step.batch.unregistered => Ok(step.confirm_registration()),
        // The batch may have been cancelled while these were in flight.
        Input::Registered
        | Input::StorageStalled { .. }
        | Input::DeadlinePassed(_)
        | Input::LifecycleAnswered { .. } => Ok(Reason::Stale),
        Input::TextsStored { stored, refused } => Ok(step.count_late(stored.saturating_add(refused))),
        Input::EssaysReported { succeeded, failed, stale, .. } => {
            Ok(step.count_late(succeeded.saturating_add(failed).saturating_add(stale)))
        }
        Input::OutcomeReported { succeeded, failed, .. } => {
            Ok(step.count_late(succeeded.saturating_add(failed)))
        }
    }
}

/// Begins a new run with the essays that have succeeded so far.
fn start(step: &mut Step<'_>, requested: &[Phase]) -> Result<Reason, Refusal> {
    let again = step.resolve(requested)?.phases;
    if step.batch.succeeded == 0 {
        return Err(Refusal::NoEssaysLeft { current: CurrentState::from(&step.batch) });
    }
    begin_run(step);
    step.emit(Effect::ReviveEssays(Revive::Succeeded));
    step.batch.waiting = std::mem::take(&mut step.batch.succeeded);
    for phase in again {
        // All revived essays go through the phase again, also those that a cancelled attempt had processed.
        step.batch.edit_record(phase, |record| {
            record.succeeded = 0;
            record.total = record.failed;
        });
    }
    let reason = step.plan(requested)?;
    step.advance();
    Ok(reason)
}

/// Begins a new run at `phase` with the essays that failed there.
fn retry(step: &mut Step<'_>, phase: Phase, essays: u32, downstream: bool) -> Result<Reason, Refusal> {
    let failed_there = step.batch.record(phase).map_or(0, |record| record.failed);
    let essays = essays.min(failed_there).min(step.batch.failed);
    if essays == 0 {
        return Err(Refusal::NothingToRetry { phase });
    }
    let later =
        step.batch.phases.iter().map(|record| record.phase).filter(|later| downstream && *later > phase);
    let later: Vec<Phase> = later.collect();
    step.check_served(&[phase])?;
    step.check_served(&later)?;
    let via = via(step, phase, &later)?;

    begin_run(step);
    step.emit(Effect::ReviveEssays(Revive::FailedIn(phase)));
    step.batch.waiting += take_up_to(&mut step.batch.failed, essays);
    step.set_plan([&[phase], later.as_slice()].concat());
    step.batch.edit_record(phase, |record| record.failed = record.failed.saturating_sub(essays));
    step.batch.plan = later;
    step.begin(phase, via);
    Ok(Reason::Retried { phase, essays })
}

/// Chooses how a retry starts the phase.
///
/// A lifecycle service that cannot leave a failed status is bypassed for spellcheck, because the spell checker accepts requests
/// from any service. The lifecycle service still counts such essays as failed, so no later phase can follow.
fn via(step: &Step<'_>, phase: Phase, later: &[Phase]) -> Result<Via, Refusal> {
    if step.first_via() == Via::Requests {
        return Ok(Via::Requests);
    }
    if step.settings.els_retries {
        return Ok(Via::Command);
    }
    match later.first().copied().unwrap_or(phase) {
        Phase::Spellcheck => Ok(Via::Requests),
        beyond @ (Phase::Nlp | Phase::AiFeedback | Phase::CjAssessment) => {
            Err(Refusal::NeighbourCannotRetry { phase: beyond })
        }
    }
}

fn begin_run(step: &mut Step<'_>) {
    step.batch.run = step.batch.run.saturating_add(1);
    step.batch.ended_at = None;
    step.batch.attention = None;
}
