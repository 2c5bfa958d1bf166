//! The processing phases, their dependencies, and what is remembered of each.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// One processing step, in the order in which the phases of a batch run.
    pub enum Phase: "phase" {
        /// Spelling is corrected; later phases read the corrected text.
        Spellcheck = "spellcheck",
        /// Linguistic analysis.
        Nlp = "nlp",
        /// Written feedback.
        AiFeedback = "ai_feedback",
        /// Comparative judgement: essays are ranked by comparing pairs.
        CjAssessment = "cj_assessment",
    }
}

impl Phase {
    /// The phases that must have succeeded before this one can begin.
    pub const fn prerequisites(self) -> &'static [Self] {
        match self {
            Self::Spellcheck => &[],
            Self::Nlp | Self::CjAssessment => &[Self::Spellcheck],
            Self::AiFeedback => &[Self::Spellcheck, Self::Nlp],
        }
    }
}

words! {
    /// Where a phase stands, in the words of the platform's `PipelineExecutionStatus`.
    pub enum PhaseStatus: "phase status" {
        /// Asked for, and nothing is in its way.
        RequestedByUser = "requested_by_user",
        /// Asked for, and a phase before it has not ended yet.
        PendingDependencies = "pending_dependencies",
        /// The command is on its way and nobody has answered.
        DispatchInitiated = "dispatch_initiated",
        /// There was a sign of life.
        InProgress = "in_progress",
        /// Every essay succeeded.
        CompletedSuccessfully = "completed_successfully",
        /// Some essays succeeded and some failed.
        CompletedWithPartialSuccess = "completed_with_partial_success",
        /// Every essay failed.
        Failed = "failed",
        /// Never begun, since no essay came out of the phases before it.
        SkippedDueToDependencyFailure = "skipped_due_to_dependency_failure",
        /// Not wanted by configuration. This service never sets it; readers of the platform know it.
        SkippedByUserConfig = "skipped_by_user_config",
        /// The batch was cancelled before the phase ended.
        Cancelled = "cancelled",
    }
}

impl PhaseStatus {
    /// Whether the phase gave something that later phases can build on.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::CompletedSuccessfully | Self::CompletedWithPartialSuccess)
    }

    /// The status of an ended phase by its counts.
    pub const fn by_counts(succeeded: u32, failed: u32) -> Self {
        match (succeeded, failed) {
            (_, 0) => Self::CompletedSuccessfully,
            (0, _) => Self::Failed,
            (_, _) => Self::CompletedWithPartialSuccess,
        }
    }
}

words! {
    /// Why essays, a phase or a batch failed where the reason is ours and not a neighbour's.
    pub enum FailureCode: "failure code" {
        /// No terminal word about the essay came before the phase's deadline.
        PhaseTimeout = "phase_timeout",
        /// The phase's outcome names the essay neither as processed nor as failed.
        NotInOutcome = "not_in_outcome",
        /// The lifecycle service never said that it knows the batch.
        RegistrationTimeout = "registration_timeout",
    }
}

/// What is remembered of a phase: its latest attempt, and the counts of all attempts together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseRecord {
    /// The phase.
    pub phase: Phase,
    /// Where it stands.
    pub status: PhaseStatus,
    /// The run that last asked for it.
    pub run: u32,
    /// The latest attempt, counted up across runs; 0 until the first begins.
    pub attempt: u32,
    /// Essays that went into the phase. A retried essay counts once.
    pub total: u32,
    /// Essays whose latest word is success.
    pub succeeded: u32,
    /// Essays whose latest word is failure.
    pub failed: u32,
    /// When the latest attempt was dispatched.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// Why it failed, where the reason is ours.
    pub error_code: Option<FailureCode>,
    /// The phase ended from the news about its essays, since its outcome never came.
    pub outcome_missing: bool,
}

impl PhaseRecord {
    pub(crate) const fn new(phase: Phase, run: u32) -> Self {
        Self {
            phase,
            status: PhaseStatus::RequestedByUser,
            run,
            attempt: 0,
            total: 0,
            succeeded: 0,
            failed: 0,
            started_at: None,
            completed_at: None,
            error_code: None,
            outcome_missing: false,
        }
    }

    /// The record for another attempt in `run`: the counts and the number of attempts stay, the rest starts anew.
    pub(crate) const fn again(&self, run: u32) -> Self {
        Self {
            attempt: self.attempt,
            total: self.total,
            succeeded: self.succeeded,
            failed: self.failed,
            ..Self::new(self.phase, run)
        }
    }

    /// Essays of the phase that have no terminal word yet.
    pub const fn pending(&self) -> u32 {
        self.total.saturating_sub(self.succeeded).saturating_sub(self.failed)
    }
}

/// One value for each phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerPhase<T> {
    /// For spellcheck.
    pub spellcheck: T,
    /// For nlp.
    pub nlp: T,
    /// For AI feedback.
    pub ai_feedback: T,
    /// For comparative judgement.
    pub cj_assessment: T,
}

impl<T: Copy> PerPhase<T> {
    /// The same value for every phase.
    pub const fn all(value: T) -> Self {
        Self { spellcheck: value, nlp: value, ai_feedback: value, cj_assessment: value }
    }

    /// The value for one phase.
    pub const fn get(&self, phase: Phase) -> T {
        match phase {
            Phase::Spellcheck => self.spellcheck,
            Phase::Nlp => self.nlp,
            Phase::AiFeedback => self.ai_feedback,
            Phase::CjAssessment => self.cj_assessment,
        }
    }
}

/// A set of phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PhaseSet(u8);

impl PhaseSet {
    /// Every phase.
    pub const ALL: Self = Self(0b1111);

    const fn bit(phase: Phase) -> u8 {
        1 << phase as u8
    }

    /// Whether the phase is in the set.
    pub const fn contains(self, phase: Phase) -> bool {
        self.0 & Self::bit(phase) != 0
    }

    /// The phases in order.
    pub fn iter(self) -> impl Iterator<Item = Phase> {
        Phase::ALL.iter().copied().filter(move |phase| self.contains(*phase))
    }
}

impl FromIterator<Phase> for PhaseSet {
    fn from_iter<I: IntoIterator<Item = Phase>>(phases: I) -> Self {
        Self(phases.into_iter().fold(0, |set, phase| set | Self::bit(phase)))
    }
}
