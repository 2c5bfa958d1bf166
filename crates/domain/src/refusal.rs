//! Why an input is refused, and what the batch accepts instead.

use std::fmt;

use crate::batch::Batch;
use crate::phase::{Phase, PhaseSet};
use crate::status::{BatchStatus, Verb};
use crate::text::listed;

/// Why an input is impossible for a batch.
///
/// Stale news is never refused. News about an attempt that has not started is ([`Refusal::TooEarly`]).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no batch with this id.
    #[error("there is no such batch")]
    UnknownBatch,
    /// There is already a batch with this id.
    #[error("there is already a batch with this id")]
    AlreadyExists,
    /// The request holds no essay.
    #[error("no essay is given")]
    NoEssays,
    /// Every essay has failed, or was cancelled or skipped.
    #[error("no essay is left that could go on; {current}")]
    NoEssaysLeft {
        /// The status of the batch, and what it accepts.
        current: CurrentState,
    },
    /// The request names no phase.
    #[error("no phase is named")]
    NoPhases,
    /// The request names a phase twice.
    #[error("{phase} is named twice")]
    DuplicatePhase {
        /// The phase.
        phase: Phase,
    },
    /// No service of this installation processes the phase.
    #[error("no service of this installation processes {phase}; available phases: {}", listed(.served.iter()))]
    PhaseNotServed {
        /// The requested phase.
        phase: Phase,
        /// The phases that some service processes.
        served: PhaseSet,
    },
    /// A single essay can only be spellchecked.
    #[error("a single essay can only be spellchecked: {phase} needs a batch")]
    SingleEssay {
        /// The requested phase.
        phase: Phase,
    },
    /// A phase is running.
    #[error("{phase} is running; {current}")]
    AlreadyRunning {
        /// The running phase.
        phase: Phase,
        /// The status of the batch, and what it accepts.
        current: CurrentState,
    },
    /// Every requested phase has already succeeded.
    #[error("already done: {}", listed(.phases))]
    AlreadyDone {
        /// The requested phases.
        phases: Vec<Phase>,
    },
    /// The batch has ended.
    #[error("the batch has ended; {current}")]
    BatchEnded {
        /// The status of the batch, and what it accepts.
        current: CurrentState,
    },
    /// The batch is closed to further essays.
    #[error("the batch takes no more essays; {current}")]
    NotOpen {
        /// The status of the batch, and what it accepts.
        current: CurrentState,
    },
    /// The lifecycle service of this installation cannot process a failed essay again in this phase
    /// ([`Settings::els_retries`](crate::Settings::els_retries)).
    #[error("the lifecycle service of this installation cannot retry failed essays in {phase}")]
    NeighbourCannotRetry {
        /// The phase.
        phase: Phase,
    },
    /// No essay has failed in the phase.
    #[error("no essay has failed in {phase}")]
    NothingToRetry {
        /// The phase.
        phase: Phase,
    },
    /// The news is about a phase or an attempt that has not started. A database restored from a backup receives such news.
    #[error("the batch has not started what this is about; it may have, once it is past revision {revision}")]
    TooEarly {
        /// The revision of the batch that refused the news.
        revision: i64,
    },
    /// The stage of the batch does not accept the verb.
    #[error("{verb} is not possible now; {current}")]
    WrongStage {
        /// The requested verb.
        verb: Verb,
        /// The status of the batch, and what it accepts.
        current: CurrentState,
    },
}

impl Refusal {
    /// Refuses news about something that the batch has not started.
    pub const fn too_early(batch: &Batch) -> Self {
        Self::TooEarly { revision: batch.revision }
    }

    pub(crate) fn wrong_stage(verb: Verb, batch: &Batch) -> Self {
        Self::WrongStage { verb, current: CurrentState::from(batch) }
    }

    /// Removes the verbs that are not in `offered`, so that the message names only what the caller's door provides.
    #[must_use]
    pub fn among(mut self, offered: &[Verb]) -> Self {
        match &mut self {
            Self::NoEssaysLeft { current }
            | Self::AlreadyRunning { current, .. }
            | Self::BatchEnded { current }
            | Self::NotOpen { current }
            | Self::WrongStage { current, .. } => current.allowed.retain(|verb| offered.contains(verb)),
            Self::UnknownBatch
            | Self::AlreadyExists
            | Self::NoEssays
            | Self::NoPhases
            | Self::DuplicatePhase { .. }
            | Self::PhaseNotServed { .. }
            | Self::SingleEssay { .. }
            | Self::AlreadyDone { .. }
            | Self::NeighbourCannotRetry { .. }
            | Self::NothingToRetry { .. }
            | Self::TooEarly { .. } => {}
        }
        self
    }

    /// The stable code of this refusal, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownBatch => "unknown_batch",
            Self::AlreadyExists => "already_exists",
            Self::NoEssays => "no_essays",
            Self::NoEssaysLeft { .. } => "no_essays_left",
            Self::NoPhases => "no_phases",
            Self::DuplicatePhase { .. } => "duplicate_phase",
            Self::PhaseNotServed { .. } => "phase_not_served",
            Self::SingleEssay { .. } => "single_essay",
            Self::AlreadyRunning { .. } => "already_running",
            Self::AlreadyDone { .. } => "already_done",
            Self::BatchEnded { .. } => "batch_ended",
            Self::NotOpen { .. } => "not_open",
            Self::NeighbourCannotRetry { .. } => "neighbour_cannot_retry",
            Self::NothingToRetry { .. } => "nothing_to_retry",
            Self::TooEarly { .. } => "too_early",
            Self::WrongStage { .. } => "wrong_stage",
        }
    }
}

/// The status of a batch and the verbs that it accepts, for the message of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentState {
    /// The status.
    pub status: BatchStatus,
    /// The verbs that the batch accepts.
    pub allowed: Vec<Verb>,
}

impl From<&Batch> for CurrentState {
    fn from(batch: &Batch) -> Self {
        Self { status: batch.status(), allowed: batch.allowed() }
    }
}

impl fmt::Display for CurrentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the batch is {}, possible now: {}", self.status, listed(&self.allowed))
    }
}
