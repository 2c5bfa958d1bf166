//! The one place where the life of a batch is decided: match on the stage, then on the input.
//!
//! Each stage has a file with one arm for every input, so that a new input forces a decision in all of them. The
//! impossible is refused; late or repeated news is accepted and changes nothing.

mod effect;
mod ended;
mod input;
mod notes;
mod ready;
mod reason;
mod refusal;
mod registering;
mod running;
mod step;
mod storing;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

pub use self::effect::{Effect, Entry, Message, Revive};
pub use self::input::{Accept, CancelMode, Input, OutcomeWord, Timer, TimerKind};
pub use self::reason::{EndedBy, Reason};
pub use self::refusal::{Refusal, Standing};
use self::step::Step;
use crate::batch::{Batch, Stage};
use crate::settings::Settings;

/// What an input means for a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The batch as it is next.
    pub next: Batch,
    /// What to do in the same transaction, in order.
    pub effects: Vec<Effect>,
    /// Why.
    pub reason: Reason,
    /// Whether there is anything to save. If not, there are no effects and `next` differs at most in `late_news`.
    pub changed: bool,
}

/// Decides what `input` means for the batch in `state` at the time `now`.
///
/// `state` is absent before the batch was accepted. The revision is left as it is; whoever saves the batch counts it.
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

/// Whether a decision changed anything is seen, not claimed; so is what the timeline says about it.
fn conclude(before: Option<&Batch>, step: Step<'_>, reason: Reason) -> Decision {
    let Step { batch: mut next, mut effects, now, .. } = step;
    let changed = before.is_none_or(|before| Batch { late_news: next.late_news, ..before.clone() } != next);
    if changed {
        next.updated_at = now;
        effects.extend(notes::entries(before, &next).into_iter().map(Effect::Note));
    }
    Decision { next, effects, reason, changed }
}
