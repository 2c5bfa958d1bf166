//! What the core sees: news about a batch, with the number of essay rows that it changed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::batch::Kind;
use crate::ids::{BatchId, CorrelationId};
use crate::language::Language;
use crate::phase::Phase;
use crate::status::WaitingCode;
use crate::words::words;

/// One thing that happened to a batch or was asked of it.
///
/// Counts are rows that a compare-and-set changed. So a repeated piece of news says 0 by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A batch was handed in.
    Accept(Accept),
    /// More essays for an open batch.
    Append {
        /// How many were accepted.
        essays: u32,
    },
    /// No more essays come.
    Close,
    /// Texts have left staging.
    TextsStored {
        /// Those that are at the Content Service now.
        stored: u32,
        /// Those that it will never take; their essays have failed.
        refused: u32,
    },
    /// Texts cannot be stored just now.
    StorageStalled {
        /// Why.
        code: WaitingCode,
        /// When it is tried again.
        next_check_at: Option<DateTime<Utc>>,
        /// It was tried as often as it is before somebody should look. It is tried on all the same.
        overdue: bool,
    },
    /// The lifecycle service knows the batch and its essays.
    Registered,
    /// Somebody asks for phases. Missing prerequisites are added, what has succeeded is left out; the reason names both.
    Start {
        /// Which.
        phases: Vec<Phase>,
    },
    /// News about single essays of a phase.
    EssaysReported {
        /// The phase.
        phase: Phase,
        /// The attempt at it.
        attempt: u32,
        /// Essays that have succeeded by this news.
        succeeded: u32,
        /// Essays that have failed by this news.
        failed: u32,
        /// Essays about which an earlier word stands, or an older attempt spoke.
        stale: u32,
    },
    /// The outcome of a phase.
    PhaseConcluded {
        /// The phase.
        phase: Phase,
        /// The attempt at it.
        attempt: u32,
        /// What the lifecycle service calls it. Told in the reason; the counts decide.
        word: OutcomeWord,
        /// Essays that have succeeded by this news.
        succeeded: u32,
        /// Essays that have failed by this news, those that it does not name among them.
        failed: u32,
    },
    /// Other neighbours serve from now on, and know nothing of what was said to those before them. What those had to say is
    /// all applied.
    NeighboursReplaced,
    /// A timer has run out.
    DeadlinePassed(Timer),
    /// Let no further phase begin.
    Pause,
    /// Let phases begin again.
    Resume,
    /// End the batch.
    Cancel {
        /// When.
        mode: CancelMode,
    },
    /// Try the essays that failed in a phase again.
    Retry {
        /// The phase.
        phase: Phase,
        /// How many essays that is.
        essays: u32,
        /// Those that succeed go on to the later phases that the batch was ever asked for.
        downstream: bool,
    },
}

/// A batch as it was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// Its id.
    pub id: BatchId,
    /// The thread that all its messages will belong to.
    pub correlation_id: CorrelationId,
    /// How its essays came.
    pub kind: Kind,
    /// The language of its essays.
    pub language: Language,
    /// Essays accepted; one for a single essay.
    pub essays: u32,
    /// More may be appended. Never for a single essay.
    pub open: bool,
    /// The phases asked for; may be empty. A single essay is always spellchecked and nothing else.
    pub phases: Vec<Phase>,
}

words! {
    /// What an outcome calls the end of a phase.
    pub enum OutcomeWord: "word for the end of a phase" {
        /// Every essay succeeded.
        Succeeded = "completed_successfully",
        /// Some essays failed.
        WithFailures = "completed_with_failures",
        /// None succeeded.
        FailedCritically = "failed_critically",
    }
}

words! {
    /// When a cancelled batch ends.
    pub enum CancelMode: "cancel mode" {
        /// When the phase at work has ended.
        Graceful = "graceful",
        /// Now; what is still heard of it is counted as late.
        Abandon = "abandon",
    }
}

words! {
    /// What a timer is for.
    pub enum TimerKind: "kind of timer" {
        /// The lifecycle service confirms the registration. Attempt 1 asks for attention, attempt 2 gives up.
        Registration = "registration",
        /// A phase gives a sign of life.
        Start = "start",
        /// A phase ends.
        Phase = "phase",
        /// An outcome follows the news about the last essay.
        OutcomeGrace = "outcome_grace",
    }
}

/// A deadline and what it is about, so that one that is out of date is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// What it is for.
    pub kind: TimerKind,
    /// The run that set it.
    pub run: u32,
    /// The phase, where it is about one.
    pub phase: Option<Phase>,
    /// The attempt at the phase; for a registration the first or the second deadline.
    pub attempt: u32,
}
