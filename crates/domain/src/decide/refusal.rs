//! Why something cannot be done, in words that say what can.

use std::fmt;

use crate::batch::Batch;
use crate::phase::{Phase, PhaseSet};
use crate::status::{BatchStatus, Verb};
use crate::words::listed;

/// Why an input is impossible for a batch. Old news is never refused; news that is ahead of us is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such batch.
    #[error("there is no such batch")]
    UnknownBatch,
    /// There is a batch of this id already.
    #[error("there is a batch of this id already")]
    AlreadyExists,
    /// No essay was given.
    #[error("no essay is given")]
    NoEssays,
    /// Every essay has failed or was left behind.
    #[error("no essay is left that could go on; {standing}")]
    NoEssaysLeft {
        /// What is possible.
        standing: Standing,
    },
    /// No phase was named.
    #[error("no phase is named")]
    NoPhases,
    /// A phase was named twice.
    #[error("{phase} is named twice")]
    DuplicatePhase {
        /// The phase.
        phase: Phase,
    },
    /// No service works on this phase here.
    #[error("no service works on {phase} here; possible are: {}", listed(.served.iter()))]
    PhaseNotServed {
        /// The phase.
        phase: Phase,
        /// The phases that some service works on.
        served: PhaseSet,
    },
    /// A single essay is only spellchecked.
    #[error("a single essay is only spellchecked: {phase} needs a batch")]
    SingleEssay {
        /// The phase asked for.
        phase: Phase,
    },
    /// A phase is at work.
    #[error("{phase} is running; {standing}")]
    AlreadyRunning {
        /// The phase.
        phase: Phase,
        /// What is possible.
        standing: Standing,
    },
    /// Everything asked for has succeeded.
    #[error("already done: {}", listed(.phases))]
    AlreadyDone {
        /// The phases asked for.
        phases: Vec<Phase>,
    },
    /// The batch has ended.
    #[error("the batch has ended; {standing}")]
    BatchEnded {
        /// What is possible.
        standing: Standing,
    },
    /// The batch takes no more essays.
    #[error("the batch takes no more essays; {standing}")]
    NotOpen {
        /// What is possible.
        standing: Standing,
    },
    /// The lifecycle service here cannot try a failed essay again in this phase.
    #[error("the lifecycle service here cannot take essays that failed once through {phase}")]
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
    /// News of something that the batch has not begun. Such news is heard by a database that was restored from a backup.
    #[error("the batch has not begun what this is about; it may have, once it is past revision {revision}")]
    TooEarly {
        /// The revision of the batch.
        revision: i64,
    },
    /// Not now.
    #[error("{verb} is not possible now; {standing}")]
    WrongStage {
        /// What was asked for.
        verb: Verb,
        /// What is possible.
        standing: Standing,
    },
}

impl Refusal {
    pub(super) fn not_now(verb: Verb, batch: &Batch) -> Self {
        Self::WrongStage { verb, standing: Standing::from(batch) }
    }

    /// The same, naming no verb but these: whoever is refused is told what can be asked for where they asked.
    #[must_use]
    pub fn among(mut self, offered: &[Verb]) -> Self {
        match &mut self {
            Self::NoEssaysLeft { standing }
            | Self::AlreadyRunning { standing, .. }
            | Self::BatchEnded { standing }
            | Self::NotOpen { standing }
            | Self::WrongStage { standing, .. } => standing.allowed.retain(|verb| offered.contains(verb)),
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

    /// The stable code for programs.
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

/// The state that a refusal names, and what is possible in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The status of the batch.
    pub status: BatchStatus,
    /// What somebody can do with it.
    pub allowed: Vec<Verb>,
}

impl From<&Batch> for Standing {
    fn from(batch: &Batch) -> Self {
        Self { status: batch.status(), allowed: batch.allowed() }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the batch is {}, possible now: {}", self.status, listed(&self.allowed))
    }
}
