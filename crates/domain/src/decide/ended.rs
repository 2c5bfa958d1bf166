//! The run is over. Only the next run leaves this stage; whatever is still heard of this one is counted.

use super::effect::{Effect, Revive};
use super::input::Input;
use super::reason::Reason;
use super::refusal::{Refusal, Standing};
use super::step::{Step, Via, take};
use crate::batch::Kind;
use crate::phase::Phase;

pub(super) fn decide(step: &mut Step<'_>, input: Input) -> Result<Reason, Refusal> {
    match input {
        Input::Accept(_) => Err(Refusal::AlreadyExists),
        Input::Append { .. } | Input::Pause | Input::Resume | Input::Cancel { mode: _ } => {
            Err(Refusal::BatchEnded { standing: Standing::from(&step.batch) })
        }
        Input::Close => Ok(Reason::Unchanged),
        Input::NeighboursReplaced => Ok(step.forget_registration()),
        Input::Start { phases } => start(step, &phases),
        Input::Retry { phase, essays, downstream } => retry(step, phase, essays, downstream),
        // The batch may have been cancelled while these were on their way.
        Input::Registered | Input::StorageStalled { .. } | Input::DeadlinePassed(_) => Ok(Reason::OldNews),
        Input::TextsStored { stored, refused } => Ok(step.late(stored.saturating_add(refused))),
        Input::EssaysReported { succeeded, failed, stale, .. } => {
            Ok(step.late(succeeded.saturating_add(failed).saturating_add(stale)))
        }
        Input::PhaseConcluded { succeeded, failed, .. } => Ok(step.late(succeeded.saturating_add(failed))),
    }
}

/// A new run with the essays that have succeeded so far.
fn start(step: &mut Step<'_>, asked: &[Phase]) -> Result<Reason, Refusal> {
    let again = step.resolve(asked)?.phases;
    if step.batch.succeeded == 0 {
        return Err(Refusal::NoEssaysLeft { standing: Standing::from(&step.batch) });
    }
    open_run(step);
    step.emit(Effect::ReviveEssays(Revive::Succeeded));
    step.batch.waiting = std::mem::take(&mut step.batch.succeeded);
    for phase in again {
        // All of them go through it again, those of a cancelled attempt too.
        step.batch.edit_record(phase, |record| {
            record.succeeded = 0;
            record.total = record.failed;
        });
    }
    let reason = step.plan(asked)?;
    step.go_on();
    Ok(reason)
}

/// A new run with the essays that failed in `phase`, which is where it begins.
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

    open_run(step);
    step.emit(Effect::ReviveEssays(Revive::FailedIn(phase)));
    step.batch.waiting += take(&mut step.batch.failed, essays);
    step.adopt([&[phase], later.as_slice()].concat());
    step.batch.edit_record(phase, |record| record.failed = record.failed.saturating_sub(essays));
    step.batch.plan = later;
    step.begin(phase, via);
    Ok(Reason::Retried { phase, essays })
}

/// A lifecycle service that knows no way out of a failed status is passed by for spellcheck, which takes requests from
/// anybody; essays mended so keep their failed status there and cannot go on.
fn via(step: &Step<'_>, phase: Phase, later: &[Phase]) -> Result<Via, Refusal> {
    if step.batch.kind == Kind::Single {
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

fn open_run(step: &mut Step<'_>) {
    step.batch.run = step.batch.run.saturating_add(1);
    step.batch.ended_at = None;
    step.batch.attention = None;
}
