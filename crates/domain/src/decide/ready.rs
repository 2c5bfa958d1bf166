//! Nothing runs: no phase was asked for yet, or the batch is paused before its next one.

use super::input::Input;
use super::reason::Reason;
use super::refusal::{Refusal, Standing};
use super::step::Step;
use crate::status::Verb;

pub(super) fn decide(step: &mut Step<'_>, input: Input) -> Result<Reason, Refusal> {
    match input {
        Input::Accept(_) => Err(Refusal::AlreadyExists),
        Input::Append { .. } => Err(Refusal::NotOpen { standing: Standing::from(&step.batch) }),
        Input::Close => Ok(Reason::Unchanged),
        Input::NeighboursReplaced => Ok(step.forget_registration()),
        Input::Start { phases } => {
            let reason = step.plan(&phases)?;
            if reason != Reason::Unchanged {
                step.go_on();
            }
            Ok(reason)
        }
        Input::Pause => Ok(step.pause()),
        Input::Resume => {
            let reason = step.resume();
            if reason == Reason::Resumed {
                step.go_on();
            }
            Ok(reason)
        }
        Input::Cancel { mode: _ } => Ok(step.cancel()),
        Input::Retry { .. } => Err(Refusal::not_now(Verb::Retry, &step.batch)),
        // The registration is confirmed by two events, and phases that have ended leave timers that fire late.
        Input::Registered
        | Input::TextsStored { .. }
        | Input::StorageStalled { .. }
        | Input::DeadlinePassed(_) => Ok(Reason::OldNews),
        Input::EssaysReported { succeeded, failed, stale, .. } => {
            Ok(step.late(succeeded.saturating_add(failed).saturating_add(stale)))
        }
        Input::PhaseConcluded { succeeded, failed, .. } => Ok(step.late(succeeded.saturating_add(failed))),
    }
}
