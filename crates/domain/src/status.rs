//! The words that a batch shows: its status, its essays' states, what it waits for, what somebody can do with it.

use crate::words::words;

words! {
    /// The status of a batch in the platform's client vocabulary.
    pub enum BatchStatus: "batch status" {
        /// Texts are being stored, or the lifecycle service is being told about them.
        PendingContent = "pending_content",
        /// Everything is in place; no phase was asked for or begun.
        Ready = "ready",
        /// A phase is at work, or the batch is paused between two.
        Processing = "processing",
        /// Ended; every essay succeeded.
        CompletedSuccessfully = "completed_successfully",
        /// Ended; some essays succeeded.
        CompletedWithFailures = "completed_with_failures",
        /// Ended; no essay succeeded.
        Failed = "failed",
        /// Ended by somebody's word.
        Cancelled = "cancelled",
    }
}

words! {
    /// The state of an essay within its batch.
    pub enum EssayState: "essay state" {
        /// For its text to be stored, for the next phase, or for the word to begin.
        Waiting = "waiting",
        /// A phase is at work on it.
        InProgress = "in_progress",
        /// Everything asked for has succeeded.
        Succeeded = "succeeded",
        /// Its text was refused or a phase failed.
        Failed = "failed",
        /// The batch was cancelled before the essay was through.
        Cancelled = "cancelled",
        /// The batch ended before any phase could begin.
        Skipped = "skipped",
    }
}

words! {
    /// What a batch waits for.
    pub enum WaitingCode: "thing to wait for" {
        /// Texts to be stored at the Content Service.
        Texts = "texts",
        /// The Content Service to be reachable.
        ContentUnreachable = "content_unreachable",
        /// The Content Service to take what it refuses now.
        ContentRefuses = "content_refuses",
        /// More essays, or the word that there are no more.
        Close = "close",
        /// The lifecycle service's word that it knows the batch.
        Registration = "registration",
        /// Somebody to start a phase.
        Command = "command",
        /// Results of essays.
        Results = "results",
        /// The outcome of a phase of which every essay is known.
        Outcome = "outcome",
        /// Somebody to resume it.
        Resume = "resume",
        /// The event bus to take its messages. Never stored: whoever shows a batch knows of the bus.
        BusUnreachable = "bus_unreachable",
    }
}

words! {
    /// What a person should look at.
    pub enum AttentionCode: "cause for attention" {
        /// A phase was commanded and nothing was heard from it.
        NoSignOfLife = "no_sign_of_life",
        /// The Content Service has not taken texts however often it was asked; it is asked on.
        StorageOverdue = "storage_overdue",
        /// The lifecycle service has not confirmed the registration in time.
        RegistrationOverdue = "registration_overdue",
        /// It never did, and the batch was given up.
        RegistrationTimeout = "registration_timeout",
    }
}

words! {
    /// What somebody can do with a batch.
    pub enum Verb: "verb" {
        /// Add essays to an open batch.
        Append = "append",
        /// Say that no more essays come.
        Close = "close",
        /// Ask for phases.
        Start = "start",
        /// Let no further phase begin.
        Pause = "pause",
        /// Let phases begin again.
        Resume = "resume",
        /// End it.
        Cancel = "cancel",
        /// Try failed essays again.
        Retry = "retry",
    }
}
