//! What became of a message from the bus.

use domain::{BatchId, Refusal};

use crate::road::applied::{Applied, Attempt};

/// What became of one consumed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// The message was processed, with or without a change. Never [`Applied::Refused`].
    Applied(Applied),
    /// The message cannot be processed and needs a dead letter.
    Unusable(Unusable),
}

/// Why a message cannot be processed: it cannot be decoded, or the rules do not allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusable {
    /// The reason, as a stable code.
    pub code: &'static str,
    /// For a message that came too early: it is retried once this batch is past this revision. `None`: the reason is permanent.
    pub until: Option<(BatchId, i64)>,
}

impl Disposition {
    /// Unusable, permanently.
    pub(super) const fn unusable(code: &'static str) -> Self {
        Self::Unusable(Unusable { code, until: None })
    }
}

impl From<Attempt> for Disposition {
    fn from(attempt: Attempt) -> Self {
        match attempt.outcome {
            None => Self::unusable("not_applicable"),
            Some(Applied::Refused(refusal)) => {
                let revision =
                    if let Refusal::TooEarly { revision } = &refusal { Some(*revision) } else { None };
                let until = revision.map(|revision| (attempt.batch, revision));
                Self::Unusable(Unusable { code: refusal.code(), until })
            }
            Some(applied) => Self::Applied(applied),
        }
    }
}
