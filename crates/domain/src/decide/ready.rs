//! Stage `Ready`: no phase runs, because none was requested or the batch is paused before the next one.

use super::input::Input;
use super::reason::Reason;
use super::step::Step;
use crate::refusal::{CurrentState, Refusal};
use crate::status::Verb;

pub(super) fn decide(step: &mut Step<'_>, input: Input) -> Result<Reason, Refusal> {
    match input {
        Input::Accept(_) => Err(Refusal::AlreadyExists),
        Input::Append { .. } => Err(Refusal::NotOpen { current: CurrentState::from(&step.batch) }),
        Input::Close => Ok(Reason::Unchanged),
        Input::ServicesReplaced => Ok(step.forget_registration()),
        Input::Start { phases } => {
            let reason = step.plan(&phases)?;
            if reason != Reason::Unchanged {
                step.advance();
            }
            Ok(reason)
        }
        Input::Pause => Ok(step.pause()),
        Input::Resume => {
            let reason = step.resume();
            if reason == Reason::Resumed {
                step.advance();
            }
            Ok(reason)
        }
        Input::Cancel { mode: _ } => Ok(step.cancel()),
        Input::Retry { .. } => Err(Refusal::wrong_stage(Verb::Retry, &step.batch)),
        // Two events confirm a registration, and timers of ended phases may fire late.
        Input::Registered
        | Input::TextsStored { .. }
        | Input::StorageStalled { .. }
        | Input::DeadlinePassed(_)
        | Input::LifecycleAnswered { .. } => Ok(Reason::Stale),
        Input::EssaysReported { succeeded, failed, stale, .. } => {
            Ok(step.count_late(succeeded.saturating_add(failed).saturating_add(stale)))
        }
        Input::OutcomeReported { succeeded, failed, .. } => {
            Ok(step.count_late(succeeded.saturating_add(failed)))
        }
    }
}
