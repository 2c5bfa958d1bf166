//! The words that describe a batch to clients: its status, its essays' states, what it waits for, and what it accepts.

use string_enum::string_enum;

string_enum! {
    /// The status of a batch in the platform's client vocabulary (`BatchClientStatus`).
    pub enum BatchStatus: "batch status" {
        /// Texts are being stored, or the registration is not confirmed yet.
        PendingContent = "pending_content",
        /// No phase has started in this run.
        Ready = "ready",
        /// A phase runs, or the batch is paused between two phases.
        Processing = "processing",
        /// Ended; every essay succeeded.
        CompletedSuccessfully = "completed_successfully",
        /// Ended; some essays succeeded.
        CompletedWithFailures = "completed_with_failures",
        /// Ended; no essay succeeded.
        Failed = "failed",
        /// Ended by a cancel request.
        Cancelled = "cancelled",
    }
}

impl BatchStatus {
    /// The statuses of an ended batch.
    pub const TERMINAL: &'static [Self] =
        &[Self::CompletedSuccessfully, Self::CompletedWithFailures, Self::Failed, Self::Cancelled];

    /// Whether a batch with this status has ended. A start or a retry can still begin another run.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::PendingContent | Self::Ready | Self::Processing => false,
            Self::CompletedSuccessfully | Self::CompletedWithFailures | Self::Failed | Self::Cancelled => {
                true
            }
        }
    }
}

string_enum! {
    /// The state of an essay within its batch.
    pub enum EssayState: "essay state" {
        /// Waiting for its text to be stored, for the next phase, or for a start request.
        Waiting = "waiting",
        /// In the running phase, without a final result.
        InProgress = "in_progress",
        /// Succeeded in every requested phase.
        Succeeded = "succeeded",
        /// Its text was refused, or it failed in a phase.
        Failed = "failed",
        /// The batch was cancelled before the essay was finished.
        Cancelled = "cancelled",
        /// The batch ended before the next phase could start.
        Skipped = "skipped",
    }
}

impl EssayState {
    /// The states in which nothing further happens to an essay in the current run.
    pub const TERMINAL: &'static [Self] = &[Self::Succeeded, Self::Failed, Self::Cancelled, Self::Skipped];

    /// Whether nothing further happens to an essay in this state in the current run.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Waiting | Self::InProgress => false,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped => true,
        }
    }
}

string_enum! {
    /// What a batch waits for.
    pub enum WaitingCode: "waiting code" {
        /// Texts to be stored at the Content Service.
        Texts = "texts",
        /// The Content Service to become reachable.
        ContentUnreachable = "content_unreachable",
        /// The Content Service to accept texts that it rejects at present.
        ContentRefuses = "content_refuses",
        /// More essays, or the request to close the batch.
        Close = "close",
        /// The lifecycle service to confirm the registration.
        Registration = "registration",
        /// A start request.
        Command = "command",
        /// Results of essays in the running phase.
        Results = "results",
        /// The outcome of a phase whose essays all have a result.
        Outcome = "outcome",
        /// A resume request.
        Resume = "resume",
        /// The event bus to become reachable. Never part of a stored batch: the API adds it while the bus is away.
        BusUnreachable = "bus_unreachable",
    }
}

string_enum! {
    /// Why an operator should look into a batch.
    pub enum AttentionCode: "attention code" {
        /// A phase was started and no result arrived before its start time-out.
        NoSignOfLife = "no_sign_of_life",
        /// The Content Service has not accepted texts after repeated attempts; attempts continue.
        StorageOverdue = "storage_overdue",
        /// The lifecycle service has not confirmed the registration in time; the batch still waits.
        RegistrationOverdue = "registration_overdue",
        /// The lifecycle service never confirmed the registration, and the batch failed.
        RegistrationTimeout = "registration_timeout",
        /// Every essay has a result, and the outcome did not arrive within the time of the phase. The next phase waits for it, or
        /// for a request to go on.
        OutcomeOverdue = "outcome_overdue",
    }
}

string_enum! {
    /// What a caller can ask of a batch.
    pub enum Verb: "verb" {
        /// Add essays to an open batch.
        Append = "append",
        /// Accept no further essays.
        Close = "close",
        /// Request phases.
        Start = "start",
        /// Start no further phase.
        Pause = "pause",
        /// Start phases again.
        Resume = "resume",
        /// End the batch.
        Cancel = "cancel",
        /// Process failed essays again.
        Retry = "retry",
    }
}

#[cfg(test)]
mod tests {
    use super::{BatchStatus, EssayState};

    #[test]
    fn the_terminal_lists_hold_exactly_the_terminal_values() {
        let statuses: Vec<_> =
            BatchStatus::ALL.iter().copied().filter(|status| status.is_terminal()).collect();
        assert_eq!(statuses, BatchStatus::TERMINAL);
        let states: Vec<_> = EssayState::ALL.iter().copied().filter(|state| state.is_terminal()).collect();
        assert_eq!(states, EssayState::TERMINAL);
    }
}
