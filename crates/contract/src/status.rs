//! The platform's status vocabularies, with their exact strings.

use string_enum::string_enum;

string_enum! {
    /// A phase of a pipeline.
    pub enum PhaseName: "phase" {
        /// Spelling correction.
        Spellcheck = "spellcheck",
        /// Linguistic analysis.
        Nlp = "nlp",
        /// Written feedback.
        AiFeedback = "ai_feedback",
        /// Comparative judgement.
        CjAssessment = "cj_assessment",
        /// Matching of essays to students. ELS knows this phase; BOS never requests it.
        StudentMatching = "student_matching",
    }
}

string_enum! {
    /// `processing_stage` of the system metadata; the same in both generations.
    pub enum ProcessingStage: "processing stage" {
        /// Not started.
        Pending = "pending",
        /// Prepared.
        Initialized = "initialized",
        /// In progress.
        Processing = "processing",
        /// Completed.
        Completed = "completed",
        /// Failed.
        Failed = "failed",
        /// Cancelled.
        Cancelled = "cancelled",
    }
}

string_enum! {
    /// The status of one essay at ELS (2026). The four values for spellcheck are the same in 2025.
    pub enum EssayStatus: "essay status" {
        /// Registered and provisioned; a phase can start.
        ReadyForProcessing = "ready_for_processing",
        /// Waiting for the spell checker.
        AwaitingSpellcheck = "awaiting_spellcheck",
        /// Being spellchecked.
        SpellcheckingInProgress = "spellchecking_in_progress",
        /// Spellchecked.
        SpellcheckedSuccess = "spellchecked_success",
        /// Spellcheck failed.
        SpellcheckFailed = "spellcheck_failed",
        /// Waiting for nlp.
        AwaitingNlp = "awaiting_nlp",
        /// Being analysed.
        NlpInProgress = "nlp_processing_in_progress",
        /// Analysed.
        NlpSuccess = "nlp_success",
        /// Nlp failed.
        NlpFailed = "nlp_failed",
        /// Waiting for `ai_feedback`.
        AwaitingAiFeedback = "awaiting_ai_feedback",
        /// Feedback is being written.
        AiFeedbackInProgress = "ai_feedback_processing_in_progress",
        /// Feedback was written.
        AiFeedbackSuccess = "ai_feedback_success",
        /// Feedback failed.
        AiFeedbackFailed = "ai_feedback_failed",
        /// Waiting for `cj_assessment`.
        AwaitingCjAssessment = "awaiting_cj_assessment",
        /// Being judged.
        CjAssessmentInProgress = "cj_assessment_processing_in_progress",
        /// Judged.
        CjAssessmentSuccess = "cj_assessment_success",
        /// The judgement failed.
        CjAssessmentFailed = "cj_assessment_failed",
        /// Failed in a way that cannot be retried.
        EssayCriticalFailure = "essay_critical_failure",
    }
}

string_enum! {
    /// The status that ELS reports for a phase: the values of 2026's `BatchStatus` that it uses.
    pub enum OutcomeStatus: "phase outcome" {
        /// Every essay succeeded.
        CompletedSuccessfully = "completed_successfully",
        /// Some essays succeeded.
        CompletedWithFailures = "completed_with_failures",
        /// No essay succeeded.
        FailedCritically = "failed_critically",
    }
}

impl OutcomeStatus {
    /// The status for these counts. No essay at all is a success.
    pub const fn from_counts(succeeded: usize, failed: usize) -> Self {
        match (succeeded, failed) {
            (_, 0) => Self::CompletedSuccessfully,
            (0, _) => Self::FailedCritically,
            _ => Self::CompletedWithFailures,
        }
    }

    /// Parses a value of either generation (2025: `completed`, `partially_completed`, `failed`).
    pub(crate) fn from_either_generation(word: &str) -> Option<Self> {
        match word {
            "completed" => Some(Self::CompletedSuccessfully),
            "partially_completed" => Some(Self::CompletedWithFailures),
            "failed" => Some(Self::FailedCritically),
            _ => word.parse().ok(),
        }
    }
}

string_enum! {
    /// The `final_status` of `BatchPipelineCompletedV1`: the values of 2026's `BatchStatus` for an ended pipeline.
    pub enum FinalStatus: "final status" {
        /// Every essay succeeded.
        CompletedSuccessfully = "completed_successfully",
        /// Some essays succeeded.
        CompletedWithFailures = "completed_with_failures",
        /// No essay succeeded.
        FailedCritically = "failed_critically",
        /// Cancelled.
        Cancelled = "cancelled",
    }
}

string_enum! {
    /// The final result of one essay in a phase: the terminal values of 2026's `ProcessingStatus`.
    pub enum Verdict: "verdict" {
        /// The essay succeeded.
        Succeeded = "completed",
        /// The essay failed.
        Failed = "failed",
    }
}

impl Verdict {
    /// Parses a spell checker's value of either generation. `None` for an unknown value, and for an essay in progress.
    pub(crate) fn from_either_generation(word: &str) -> Option<Self> {
        match word {
            "spellchecked_success" | "completed" | "success" => Some(Self::Succeeded),
            "spellcheck_failed" | "failed" | "essay_critical_failure" => Some(Self::Failed),
            _ => None,
        }
    }
}

string_enum! {
    /// Whether the batch belongs to a guest, or to a class with known students.
    pub enum ClassType: "class type" {
        /// No class.
        Guest = "GUEST",
        /// A class.
        Regular = "REGULAR",
    }
}
