//! The decision procedure of a batch: match on the stage, then on the input.
//!
//! Each stage has a file with one arm for every input, so that a new input needs a decision in each of them. Impossible
//! inputs are refused; late or repeated news is accepted and changes nothing.

mod effect;
mod ended;
mod input;
mod notes;
mod ready;
mod reason;
mod registering;
mod running;
mod step;
mod storing;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

pub use self::effect::{Effect, Entry, Message, Revive};
pub use self::input::{Accept, CancelMode, Input, LifecycleAnswer, OutcomeStatus, Timer, TimerKind};
pub use self::reason::{EndedBy, Reason};
use self::step::Step;
use crate::batch::{Batch, Stage};
use crate::refusal::Refusal;
use crate::settings::Settings;

/// The result of [`decide`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The next state of the batch.
    pub next: Batch,
    /// What to do in the same transaction, in this order.
    pub effects: Vec<Effect>,
    /// The reason, for the timeline.
    pub reason: Reason,
    /// Whether the batch must be saved. If not, `next` differs at most in `late_news`, and the only effect can be a timer that is
    /// set again because it fired too early.
    pub changed: bool,
}

/// Decides what `input` means for a batch at the time `now`.
///
/// `state` is `None` before the batch is accepted. The revision is not changed here: the store increments it on save.
///
/// # Errors
/// A [`Refusal`] when the input is impossible for the batch. Stale news is not an error; it changes nothing.
pub fn decide(
    state: Option<Batch>,
    input: Input,
    now: DateTime<Utc>,
    settings: &Settings,
) -> Result<Decision, Refusal> {
    let (before, step, reason) = match state {
        None => {
            let Input::Accept(accept) = input else { return Err(Refusal::UnknownBatch) };
            let (step, reason) = storing::accept(accept, now, settings)?;
            (None, step, reason)
        }
        Some(batch) => {
            let mut step = Step::new(batch.clone(), now, settings);
            let reason = match batch.stage.clone() {
                Stage::Storing { open, pending } => storing::decide(&mut step, open, pending, input),
                Stage::Registering => registering::decide(&mut step, input),
                Stage::Ready => ready::decide(&mut step, input),
                Stage::Running(running) => running::decide(&mut step, running, input),
                Stage::Ended { .. } => ended::decide(&mut step, input),
            }?;
            (Some(batch), step, reason)
        }
    };
    Ok(conclude(before.as_ref(), step, reason))
}

/// Completes a decision. Whether the batch changed, and what the timeline says, is computed from the two states, so a stage
/// cannot report it wrongly.
fn conclude(before: Option<&Batch>, step: Step<'_>, reason: Reason) -> Decision {
    let Step { batch: mut next, mut effects, now, .. } = step;
    let changed = before.is_none_or(|before| Batch { late_news: next.late_news, ..before.clone() } != next);
    if changed {
        next.updated_at = now;
        effects.extend(notes::entries(before, &next).into_iter().map(Effect::Note));
    }
    Decision { next, effects, reason, changed }
}
