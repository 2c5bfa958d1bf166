//! What a decision stores or sends. Every effect is a few rows; none needs a list of essays.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::input::{Timer, TimerKind};
use crate::phase::{FailureCode, Phase, PhaseStatus};
use crate::status::{AttentionCode, BatchStatus, WaitingCode};

/// One action in the transaction of the decision. Effects are performed in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write a message to the outbox.
    Send(Message),
    /// Set a timer. It replaces a timer of the same kind.
    SetTimer {
        /// The timer.
        timer: Timer,
        /// When it is due.
        at: DateTime<Utc>,
    },
    /// Delete the timer of this kind, if there is one.
    ClearTimer(TimerKind),
    /// Delete all timers of the batch.
    ClearTimers,
    /// Move the waiting essays to `in_progress` in this phase and attempt.
    OpenEssays {
        /// The phase that the essays enter.
        phase: Phase,
        /// The attempt at the phase.
        attempt: u32,
    },
    /// Fail the essays that are in progress in this attempt.
    FailOpenEssays {
        /// The phase that the essays are in.
        phase: Phase,
        /// The attempt at the phase.
        attempt: u32,
        /// The code that each of the essays gets.
        code: FailureCode,
    },
    /// Move the essays that wait or are in progress to `cancelled`.
    CancelEssays,
    /// Move the waiting essays to `skipped`.
    SkipEssays,
    /// Move essays of an ended run back to `waiting`.
    ReviveEssays(Revive),
    /// Delete the staged texts, which have not been uploaded.
    DropStagedTexts,
    /// Add an entry to the timeline.
    Note(Entry),
}

/// Which essays take part in a new run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revive {
    /// The essays that succeeded.
    Succeeded,
    /// The essays that failed in this phase and that the retry names.
    FailedIn(Phase),
}

/// An outgoing message, by its meaning. The engine reads the rows that the message lists when it writes it to the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// One request to the spell checker for each essay in progress. For a single essay, or for a retry that the lifecycle
    /// service cannot do.
    SpellcheckRequests {
        /// The attempt at spellcheck.
        attempt: u32,
        /// 0 for the first requests; 1, 2, … for those of the essays that are still open, sent again.
        resend: u32,
    },
    /// The registration of the batch and one provisioned event per stored text, for the lifecycle service.
    Registration,
    /// The command to the lifecycle service to start a phase for the essays in progress.
    Command {
        /// The phase.
        phase: Phase,
        /// The attempt at the phase.
        attempt: u32,
        /// 0 for the first command; 1, 2, … for a command for the essays that are still open, sent again.
        resend: u32,
    },
    /// The run has ended, with its counts.
    PipelineCompleted {
        /// The run that has ended.
        run: u32,
    },
}

/// An entry of the timeline, which clients read as an event. Holds ids, codes and counts only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Entry {
    /// The batch has another status, text count, attention code or waiting code.
    #[serde(rename = "batch.changed")]
    BatchChanged {
        /// The run.
        run: u32,
        /// The new status.
        status: BatchStatus,
        /// Whether the batch is paused.
        paused: bool,
        /// Whether the batch was cancelled and ends with the running phase.
        cancelling: bool,
        /// What the batch waits for.
        waiting_on: Option<WaitingCode>,
        /// What an operator should look into.
        attention: Option<AttentionCode>,
        /// Number of essays accepted.
        total: u32,
        /// Number of texts stored.
        stored: u32,
        /// Number of essays that failed.
        failed: u32,
    },
    /// A phase has another status, or another attempt at it started.
    #[serde(rename = "phase.changed")]
    PhaseChanged {
        /// The run.
        run: u32,
        /// The phase.
        phase: Phase,
        /// The latest attempt at the phase; 0 before the first.
        attempt: u32,
        /// The new status.
        status: PhaseStatus,
    },
    /// Essays got their final results in a phase.
    #[serde(rename = "essay.phase.changed")]
    EssaysCounted {
        /// The phase.
        phase: Phase,
        /// The attempt at the phase.
        attempt: u32,
        /// Number of essays in the phase.
        total: u32,
        /// Number of essays that succeeded so far.
        succeeded: u32,
        /// Number of essays that failed so far.
        failed: u32,
    },
    /// The run has ended.
    #[serde(rename = "batch.ended")]
    BatchEnded {
        /// The run.
        run: u32,
        /// The final status.
        status: BatchStatus,
        /// Number of essays accepted.
        total: u32,
        /// Number of essays that succeeded.
        succeeded: u32,
        /// Number of essays that failed.
        failed: u32,
    },
}

impl Entry {
    /// The name of the event in the event stream.
    pub const fn event(&self) -> &'static str {
        match self {
            Self::BatchChanged { .. } => "batch.changed",
            Self::PhaseChanged { .. } => "phase.changed",
            Self::EssaysCounted { .. } => "essay.phase.changed",
            Self::BatchEnded { .. } => "batch.ended",
        }
    }
}
