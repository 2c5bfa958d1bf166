//! The platform's status vocabularies, with their exact strings.

use crate::words::words;

words! {
    /// A phase of a pipeline.
    pub enum PhaseName {
        /// Spelling.
        Spellcheck = "spellcheck",
        /// Linguistic measures.
        Nlp = "nlp",
        /// Written feedback.
        AiFeedback = "ai_feedback",
        /// Comparative judgement.
        CjAssessment = "cj_assessment",
        /// Matching of essays to students; ELS knows it, BOS never asks for it.
        StudentMatching = "student_matching",
    }
}

words! {
    /// How a phase of a batch stands; the same in both generations.
    pub enum PipelineExecutionStatus {
        /// Asked for, not looked at yet.
        RequestedByUser = "requested_by_user",
        /// Waits for an earlier phase.
        PendingDependencies = "pending_dependencies",
        /// The command is on its way.
        DispatchInitiated = "dispatch_initiated",
        /// News of its essays has come.
        InProgress = "in_progress",
        /// Every essay succeeded.
        CompletedSuccessfully = "completed_successfully",
        /// Some essays succeeded.
        CompletedWithPartialSuccess = "completed_with_partial_success",
        /// No essay succeeded.
        Failed = "failed",
        /// A phase it depends on failed.
        SkippedDueToDependencyFailure = "skipped_due_to_dependency_failure",
        /// Not asked for.
        SkippedByUserConfig = "skipped_by_user_config",
        /// Ended by a person.
        Cancelled = "cancelled",
    }
}

words! {
    /// `processing_stage` of the system metadata; the same in both generations.
    pub enum ProcessingStage {
        /// Not begun.
        Pending = "pending",
        /// Prepared.
        Initialized = "initialized",
        /// Under way.
        Processing = "processing",
        /// Done.
        Completed = "completed",
        /// Failed.
        Failed = "failed",
        /// Ended by a person.
        Cancelled = "cancelled",
    }
}

words! {
    /// How one essay stands at ELS (2026). The four words of spellcheck are the same in 2025.
    pub enum EssayStatus {
        /// Registered and provisioned: a phase may begin.
        ReadyForProcessing = "ready_for_processing",
        /// Handed to the spell checker.
        AwaitingSpellcheck = "awaiting_spellcheck",
        /// At the spell checker.
        SpellcheckingInProgress = "spellchecking_in_progress",
        /// Spellchecked.
        SpellcheckedSuccess = "spellchecked_success",
        /// The spell checker failed.
        SpellcheckFailed = "spellcheck_failed",
        /// Handed to nlp.
        AwaitingNlp = "awaiting_nlp",
        /// At nlp.
        NlpInProgress = "nlp_processing_in_progress",
        /// Analysed.
        NlpSuccess = "nlp_success",
        /// Nlp failed.
        NlpFailed = "nlp_failed",
        /// Handed to `ai_feedback`.
        AwaitingAiFeedback = "awaiting_ai_feedback",
        /// At `ai_feedback`.
        AiFeedbackInProgress = "ai_feedback_processing_in_progress",
        /// Feedback was written.
        AiFeedbackSuccess = "ai_feedback_success",
        /// Feedback failed.
        AiFeedbackFailed = "ai_feedback_failed",
        /// Handed to `cj_assessment`.
        AwaitingCjAssessment = "awaiting_cj_assessment",
        /// At `cj_assessment`.
        CjAssessmentInProgress = "cj_assessment_processing_in_progress",
        /// Judged.
        CjAssessmentSuccess = "cj_assessment_success",
        /// The judgement failed.
        CjAssessmentFailed = "cj_assessment_failed",
        /// Beyond repair.
        EssayCriticalFailure = "essay_critical_failure",
    }
}

words! {
    /// How a batch stands, as clients of the platform are told (2026 `BatchClientStatus`).
    pub enum ClientBatchStatus {
        /// Its texts are not all in place.
        PendingContent = "pending_content",
        /// A pipeline may be asked for.
        Ready = "ready",
        /// A pipeline runs.
        Processing = "processing",
        /// Ended; every essay succeeded.
        CompletedSuccessfully = "completed_successfully",
        /// Ended; some essays succeeded.
        CompletedWithFailures = "completed_with_failures",
        /// Ended; no essay succeeded.
        Failed = "failed",
        /// Ended by a person.
        Cancelled = "cancelled",
    }
}

words! {
    /// How a phase ended, as ELS says it: the words of 2026's `BatchStatus` that it uses.
    pub enum OutcomeWord {
        /// Every essay succeeded.
        CompletedSuccessfully = "completed_successfully",
        /// Some essays succeeded.
        CompletedWithFailures = "completed_with_failures",
        /// No essay succeeded.
        FailedCritically = "failed_critically",
    }
}

impl OutcomeWord {
    /// The word for so many essays; nothing to do is a success.
    pub const fn of(succeeded: usize, failed: usize) -> Self {
        match (succeeded, failed) {
            (_, 0) => Self::CompletedSuccessfully,
            (0, _) => Self::FailedCritically,
            _ => Self::CompletedWithFailures,
        }
    }

    /// The outcome that a word of either generation means (2025: `completed`, `partially_completed`, `failed`).
    pub(crate) fn of_either_generation(word: &str) -> Option<Self> {
        match word {
            "completed" => Some(Self::CompletedSuccessfully),
            "partially_completed" => Some(Self::CompletedWithFailures),
            "failed" => Some(Self::FailedCritically),
            _ => word.parse().ok(),
        }
    }
}

words! {
    /// How a pipeline ended (`final_status` of `BatchPipelineCompletedV1`): the words of 2026's `BatchStatus` for it.
    pub enum FinalStatus {
        /// Every essay succeeded.
        CompletedSuccessfully = "completed_successfully",
        /// Some essays succeeded.
        CompletedWithFailures = "completed_with_failures",
        /// No essay succeeded.
        FailedCritically = "failed_critically",
        /// Ended by a person.
        Cancelled = "cancelled",
    }
}

words! {
    /// How one essay fared in a phase: the terminal words of 2026's `ProcessingStatus`.
    pub enum Verdict {
        /// It succeeded.
        Succeeded = "completed",
        /// It failed.
        Failed = "failed",
    }
}

impl Verdict {
    /// The verdict that a spell checker's word of either generation means. A word for an essay still under way is
    /// none.
    pub(crate) fn of_either_generation(word: &str) -> Option<Self> {
        match word {
            "spellchecked_success" | "completed" | "success" => Some(Self::Succeeded),
            "spellcheck_failed" | "failed" | "essay_critical_failure" => Some(Self::Failed),
            _ => None,
        }
    }
}

words! {
    /// Whose batch it is: a guest's, or a class's with known students.
    pub enum ClassType {
        /// No class.
        Guest = "GUEST",
        /// A class.
        Regular = "REGULAR",
    }
}
