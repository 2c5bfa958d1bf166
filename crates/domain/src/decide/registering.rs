//! Stage `Registering`: the registration was sent to the lifecycle service. No command is sent before it is confirmed.

use super::effect::Effect;
use super::input::{Input, Timer, TimerKind};
use super::reason::Reason;
use super::step::Step;
use crate::batch::End;
use crate::phase::{FailureCode, Phase};
use crate::refusal::{CurrentState, Refusal};
use crate::settings::after;
use crate::status::{AttentionCode, Verb, WaitingCode};

pub(super) fn decide(step: &mut Step<'_>, input: Input) -> Result<Reason, Refusal> {
    match input {
        Input::Accept(_) => Err(Refusal::AlreadyExists),
        Input::Append { .. } => Err(Refusal::NotOpen { current: CurrentState::from(&step.batch) }),
        Input::Close => Ok(Reason::Unchanged),
        Input::Registered => {
            step.batch.attention = None;
            step.emit(Effect::ClearTimer(TimerKind::Registration));
            step.advance();
            Ok(Reason::Registered)
        }
        Input::Start { phases } => step.plan(&phases),
        Input::DeadlinePassed(timer) => Ok(deadline_passed(step, timer)),
        Input::Pause => Ok(step.pause()),
        Input::Resume => Ok(step.resume()),
        Input::Cancel { mode: _ } => Ok(step.cancel()),
        Input::Retry { .. } => Err(Refusal::wrong_stage(Verb::Retry, &step.batch)),
        Input::ServicesReplaced => {
            step.batch.attention = None;
            step.register();
            Ok(Reason::ServicesReplaced)
        }
        // Every text was stored or refused before.
        // This stage sets no timer for which the lifecycle service is asked.
        Input::TextsStored { .. } | Input::StorageStalled { .. } | Input::LifecycleAnswered { .. } => {
            Ok(Reason::Stale)
        }
        Input::EssaysReported { succeeded, failed, stale, .. } => {
            Ok(step.count_late(succeeded.saturating_add(failed).saturating_add(stale)))
        }
        Input::OutcomeReported { succeeded, failed, .. } => {
            Ok(step.count_late(succeeded.saturating_add(failed)))
        }
    }
}

fn deadline_passed(step: &mut Step<'_>, timer: Timer) -> Reason {
    let is_ours = timer.kind == TimerKind::Registration && timer.run == step.batch.run;
    match timer.attempt {
        1 if is_ours && step.batch.attention.is_none() => {
            let waiting = step.batch.plan.first().copied().unwrap_or(Phase::Spellcheck);
            let due = after(step.now, step.settings.phase_timeout.get(waiting));
            step.raise_attention(AttentionCode::RegistrationOverdue);
            step.set_timer(TimerKind::Registration, None, 2, due);
            step.wait(WaitingCode::Registration, None, Some(due));
            Reason::RegistrationOverdue
        }
        2 if is_ours => {
            for phase in step.batch.plan.clone() {
                step.batch
                    .edit_record(phase, |record| record.error_code = Some(FailureCode::RegistrationTimeout));
            }
            step.end_run(End::Failed);
            step.raise_attention(AttentionCode::RegistrationTimeout);
            Reason::RegistrationTimedOut
        }
        _ => Reason::Stale,
    }
}
