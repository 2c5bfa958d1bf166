//! The processing phases, their prerequisites, and the record that a batch keeps of each.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use string_enum::string_enum;

string_enum! {
    /// A processing step. Declared in the order in which the phases of a batch run.
    pub enum Phase: "phase" {
        /// Spelling correction; later phases read the corrected text.
        Spellcheck = "spellcheck",
        /// Linguistic analysis.
        Nlp = "nlp",
        /// Written feedback by a language model.
        AiFeedback = "ai_feedback",
        /// Comparative judgement: essays are ranked by comparing pairs of them.
        CjAssessment = "cj_assessment",
    }
}

impl Phase {
    /// The phases that must have succeeded before this one can start.
    pub const fn prerequisites(self) -> &'static [Self] {
        match self {
            Self::Spellcheck => &[],
            Self::Nlp | Self::CjAssessment => &[Self::Spellcheck],
            Self::AiFeedback => &[Self::Spellcheck, Self::Nlp],
        }
    }
}

string_enum! {
    /// The status of a phase, in the words of the platform's `PipelineExecutionStatus` (the same in both generations).
    pub enum PhaseStatus: "phase status" {
        /// Requested; every prerequisite has succeeded.
        RequestedByUser = "requested_by_user",
        /// Requested; a prerequisite has not succeeded yet.
        PendingDependencies = "pending_dependencies",
        /// The command was sent and no result has arrived.
        DispatchInitiated = "dispatch_initiated",
        /// At least one result has arrived.
        InProgress = "in_progress",
        /// Every essay succeeded.
        CompletedSuccessfully = "completed_successfully",
        /// Some essays succeeded and some failed.
        CompletedWithPartialSuccess = "completed_with_partial_success",
        /// Every essay failed.
        Failed = "failed",
        /// Never started, because no essay succeeded in the phases before it.
        SkippedDueToDependencyFailure = "skipped_due_to_dependency_failure",
        /// Excluded by configuration. BOS never sets it; it is part of the platform's vocabulary.
        SkippedByUserConfig = "skipped_by_user_config",
        /// The batch was cancelled before the phase ended.
        Cancelled = "cancelled",
    }
}

impl PhaseStatus {
    /// Whether the phase succeeded for at least one essay, so that later phases can start.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::CompletedSuccessfully | Self::CompletedWithPartialSuccess)
    }

    /// The status of an ended phase with these counts.
    pub const fn from_counts(succeeded: u32, failed: u32) -> Self {
        match (succeeded, failed) {
            (_, 0) => Self::CompletedSuccessfully,
            (0, _) => Self::Failed,
            (_, _) => Self::CompletedWithPartialSuccess,
        }
    }
}

string_enum! {
    /// Why an essay or a phase failed, where BOS decides it. Other services' failures carry codes of their own.
    pub enum FailureCode: "failure code" {
        /// No final result arrived before the phase's deadline.
        PhaseTimeout = "phase_timeout",
        /// The phase's outcome names the essay neither as processed nor as failed. Only earlier programs set it: such an essay is
        /// sent again now, and fails by the deadline of the phase.
        NotInOutcome = "not_in_outcome",
        /// The phase's outcome names the essay as failed, and no result of its own said why.
        PhaseFailed = "phase_failed",
        /// The lifecycle service never confirmed the registration of the batch.
        RegistrationTimeout = "registration_timeout",
    }
}

/// The record of a phase: its latest attempt, and the counts of all attempts together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseRecord {
    /// The phase.
    pub phase: Phase,
    /// The status of the latest attempt.
    pub status: PhaseStatus,
    /// The run that last requested it.
    pub run: u32,
    /// The number of the latest attempt, counted across runs; 0 until the first one starts.
    pub attempt: u32,
    /// Essays that entered the phase. A retried essay counts once.
    pub total: u32,
    /// Essays whose latest result is success.
    pub succeeded: u32,
    /// Essays whose latest result is failure.
    pub failed: u32,
    /// When the latest attempt started.
    pub started_at: Option<DateTime<Utc>>,
    /// When the latest attempt ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// Why essays failed in the latest attempt, where BOS decided it.
    pub error_code: Option<FailureCode>,
    /// Whether the phase ended by the results of its essays, because its outcome had not arrived.
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

    /// The record for another attempt in `run`: counts and attempt number are kept, everything else is reset.
    pub(crate) const fn for_next_attempt(&self, run: u32) -> Self {
        Self {
            attempt: self.attempt,
            total: self.total,
            succeeded: self.succeeded,
            failed: self.failed,
            ..Self::new(self.phase, run)
        }
    }

    /// Essays of the phase without a final result.
    pub const fn pending(&self) -> u32 {
        self.total.saturating_sub(self.succeeded).saturating_sub(self.failed)
    }
}

/// One value per phase.
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

    /// The value for `phase`.
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

    /// Whether `phase` is in the set.
    pub const fn contains(self, phase: Phase) -> bool {
        self.0 & Self::bit(phase) != 0
    }

    /// The phases of the set, in the order in which they run.
    pub fn iter(self) -> impl Iterator<Item = Phase> {
        Phase::ALL.iter().copied().filter(move |phase| self.contains(*phase))
    }
}

impl FromIterator<Phase> for PhaseSet {
    fn from_iter<I: IntoIterator<Item = Phase>>(phases: I) -> Self {
        Self(phases.into_iter().fold(0, |set, phase| set | Self::bit(phase)))
    }
}
