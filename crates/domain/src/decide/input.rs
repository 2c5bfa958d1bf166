//! The inputs of the rules: news about a batch, with the number of essay rows that it changed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use string_enum::string_enum;

use crate::batch::Kind;
use crate::ids::{BatchId, CorrelationId};
use crate::language::Language;
use crate::phase::Phase;
use crate::status::WaitingCode;

/// Something that happened to a batch, or a request about it.
///
/// Counts are numbers of rows that a compare-and-set changed, so repeated news has the count 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A new batch was submitted.
    Accept(Accept),
    /// More essays were submitted to an open batch.
    Append {
        /// Number of essays accepted.
        essays: u32,
    },
    /// The batch is to accept no further essays.
    Close,
    /// Staged texts were stored or refused.
    TextsStored {
        /// Texts that the Content Service has stored.
        stored: u32,
        /// Texts that the Content Service refused for good; their essays have failed.
        refused: u32,
    },
    /// Texts cannot be stored at present.
    StorageStalled {
        /// The cause.
        code: WaitingCode,
        /// When the next attempt is made.
        next_check_at: Option<DateTime<Utc>>,
        /// Whether the attempts have reached the number that needs attention. Attempts continue.
        overdue: bool,
    },
    /// The lifecycle service confirmed the registration of the batch and its essays.
    Registered,
    /// Phases are requested. Missing prerequisites are added and completed phases left out; the reason names both.
    Start {
        /// The requested phases.
        phases: Vec<Phase>,
    },
    /// Results of essays in a phase.
    EssaysReported {
        /// The phase.
        phase: Phase,
        /// The attempt at the phase.
        attempt: u32,
        /// Essays that succeeded by this news.
        succeeded: u32,
        /// Essays that failed by this news.
        failed: u32,
        /// Results that changed nothing: the essay has an earlier result, or the result is of an older attempt.
        stale: u32,
    },
    /// The lifecycle service reported an outcome of a phase: what it knows of all essays of the phase at that moment.
    OutcomeReported {
        /// The phase.
        phase: Phase,
        /// The attempt at the phase.
        attempt: u32,
        /// The status that the lifecycle service reports. It appears in the reason; the counts decide.
        status: OutcomeStatus,
        /// Essays that succeeded by this news.
        succeeded: u32,
        /// Essays that failed by this news.
        failed: u32,
        /// Essays of the attempt that neither this outcome nor an earlier one of the attempt has named.
        unnamed: u32,
    },
    /// A timer is due, and the lifecycle service has said where the essays of the batch are.
    LifecycleAnswered {
        /// The timer.
        timer: Timer,
        /// The answer.
        answer: LifecycleAnswer,
    },
    /// The neighbour services (lifecycle service and workers) were replaced by others that know nothing of earlier messages.
    /// All news of the replaced ones has been applied. Promotion causes this.
    ServicesReplaced,
    /// A timer is due.
    DeadlinePassed(Timer),
    /// Start no further phase.
    Pause,
    /// Start phases again.
    Resume,
    /// End the batch.
    Cancel {
        /// When the batch ends.
        mode: CancelMode,
    },
    /// Process the essays that failed in a phase again.
    Retry {
        /// The phase.
        phase: Phase,
        /// Number of essays to retry.
        essays: u32,
        /// Whether essays that now succeed go on to the later phases that were ever requested.
        downstream: bool,
    },
}

/// A new batch as it was submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// The id of the batch.
    pub id: BatchId,
    /// The correlation id of the batch's messages.
    pub correlation_id: CorrelationId,
    /// How the essays were submitted.
    pub kind: Kind,
    /// The language of the essays.
    pub language: Language,
    /// Number of essays; 1 for a single essay.
    pub essays: u32,
    /// Whether essays can be appended. Never for a single essay.
    pub open: bool,
    /// The requested phases; may be empty. A single essay is always spellchecked and nothing else.
    pub phases: Vec<Phase>,
}

string_enum! {
    /// The status that an outcome reports for a phase.
    pub enum OutcomeStatus: "outcome status" {
        /// Every essay succeeded.
        Succeeded = "completed_successfully",
        /// Some essays failed.
        WithFailures = "completed_with_failures",
        /// No essay succeeded.
        FailedCritically = "failed_critically",
    }
}

/// What the lifecycle service says about the essays of a batch and one phase, in numbers of essays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LifecycleAnswer {
    /// Essays in a status from which a command would move them into the phase.
    pub ready: u32,
    /// Essays in the phase without a final status.
    pub unfinished: u32,
    /// Essays in the phase with a final status.
    pub finished: u32,
}

impl LifecycleAnswer {
    /// Whether every essay that can be in the phase has a final status, so that its outcome was written in the same
    /// transaction, and the next command cannot come too early.
    pub const fn is_finished(self) -> bool {
        self.ready == 0 && self.unfinished == 0 && self.finished > 0
    }
}

string_enum! {
    /// When a cancelled batch ends.
    pub enum CancelMode: "cancel mode" {
        /// When the running phase has ended.
        Graceful = "graceful",
        /// Now; results that still arrive count as late news.
        Abandon = "abandon",
    }
}

string_enum! {
    /// What a timer waits for.
    pub enum TimerKind: "kind of timer" {
        /// Confirmation of the registration. The timer of attempt 1 raises attention, that of attempt 2 fails the batch.
        Registration = "registration",
        /// A sign of life of a phase: its first result, and then the next one. What may be lost is sent again.
        Start = "start",
        /// The end of a phase.
        Phase = "phase",
        /// The outcome after the result of the last essay. Set where the lifecycle service can be asked.
        OutcomeGrace = "outcome_grace",
    }
}

impl TimerKind {
    /// Whether the lifecycle service is asked before such a timer fires, where it can be asked.
    pub const fn asks_lifecycle(self) -> bool {
        match self {
            Self::Start | Self::OutcomeGrace => true,
            Self::Registration | Self::Phase => false,
        }
    }
}

/// A deadline and what it is about, so that an outdated one is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// What the timer waits for.
    pub kind: TimerKind,
    /// The run that set the timer.
    pub run: u32,
    /// The phase; `None` for a registration.
    pub phase: Option<Phase>,
    /// The attempt at the phase; for a registration, 1 for the first deadline and 2 for the second.
    pub attempt: u32,
}
