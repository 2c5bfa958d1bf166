//! What a decision wants stored or sent. Every effect is a few rows; none needs a list of essays.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::input::{Timer, TimerKind};
use crate::phase::{FailureCode, Phase, PhaseStatus};
use crate::status::{AttentionCode, BatchStatus, WaitingCode};

/// One thing to do in the transaction of the decision. Effects are performed in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Put a message in the outbox.
    Send(Message),
    /// Set a timer, in place of one of the same kind.
    SetTimer {
        /// What it is for.
        timer: Timer,
        /// When it runs out.
        at: DateTime<Utc>,
    },
    /// Take a timer away, if it is there.
    ClearTimer(TimerKind),
    /// Take all timers of the batch away.
    ClearTimers,
    /// Essays: waiting → in progress, each with a row for this attempt.
    OpenEssays {
        /// The phase that they enter.
        phase: Phase,
        /// The attempt at it.
        attempt: u32,
    },
    /// Essays: in progress → failed.
    FailOpenEssays {
        /// The phase that they are in.
        phase: Phase,
        /// The attempt at it.
        attempt: u32,
        /// Why.
        code: FailureCode,
    },
    /// Essays: waiting and in progress → cancelled.
    CancelEssays,
    /// Essays: waiting → skipped.
    SkipEssays,
    /// Essays of an ended run: back to waiting.
    ReviveEssays(Revive),
    /// Forget the texts that have not been uploaded.
    DropStagedTexts,
    /// An entry of the timeline.
    Note(Entry),
}

/// Which essays take part in a new run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revive {
    /// Those that have succeeded.
    Succeeded,
    /// Those that have failed in this phase and that the retry names.
    FailedIn(Phase),
}

/// A message, by its meaning. Who performs it reads the rows that it lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// One request to the spell checker for each essay in progress: a single essay, or a retry that the lifecycle
    /// service cannot do.
    SpellcheckRequests {
        /// The attempt at spellcheck.
        attempt: u32,
    },
    /// The registration of the batch and the provision of each stored text, for the lifecycle service.
    Registration,
    /// The command to begin a phase for the essays in progress.
    Command {
        /// The phase.
        phase: Phase,
        /// The attempt at it.
        attempt: u32,
    },
    /// What was asked for has ended, with true counts.
    PipelineCompleted {
        /// The run that has ended.
        run: u32,
    },
}

/// An entry of the timeline: what somebody who watches the batch is told. Ids and counts only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Entry {
    /// The batch shows another status, count of texts, cause for attention or thing awaited.
    #[serde(rename = "batch.changed")]
    BatchChanged {
        /// The run.
        run: u32,
        /// Its status now.
        status: BatchStatus,
        /// Whether it is paused.
        paused: bool,
        /// Whether it was cancelled and ends with the phase at work.
        cancelling: bool,
        /// What it waits for.
        waiting_on: Option<WaitingCode>,
        /// What a person should look at.
        attention: Option<AttentionCode>,
        /// Essays accepted.
        total: u32,
        /// Texts stored.
        stored: u32,
        /// Essays failed.
        failed: u32,
    },
    /// A phase shows another status, or a new attempt at it began.
    #[serde(rename = "phase.changed")]
    PhaseChanged {
        /// The run.
        run: u32,
        /// The phase.
        phase: Phase,
        /// The latest attempt at it; 0 before the first.
        attempt: u32,
        /// Its status now.
        status: PhaseStatus,
    },
    /// Essays got a terminal word in a phase.
    #[serde(rename = "essay.phase.changed")]
    EssaysCounted {
        /// The phase.
        phase: Phase,
        /// The attempt at it.
        attempt: u32,
        /// Essays in the phase.
        total: u32,
        /// Those that have succeeded so far.
        succeeded: u32,
        /// Those that have failed so far.
        failed: u32,
    },
    /// The run has ended.
    #[serde(rename = "batch.ended")]
    BatchEnded {
        /// The run.
        run: u32,
        /// How.
        status: BatchStatus,
        /// Essays accepted.
        total: u32,
        /// Essays that succeeded.
        succeeded: u32,
        /// Essays that failed.
        failed: u32,
    },
}

impl Entry {
    /// The name of the event, as in the stream of events.
    pub const fn event(&self) -> &'static str {
        match self {
            Self::BatchChanged { .. } => "batch.changed",
            Self::PhaseChanged { .. } => "phase.changed",
            Self::EssaysCounted { .. } => "essay.phase.changed",
            Self::BatchEnded { .. } => "batch.ended",
        }
    }
}
