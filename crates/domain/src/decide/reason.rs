//! Why a decision was taken, as a sentence for the timeline and for whoever asks.

use std::fmt;

use super::input::OutcomeWord;
use crate::phase::{Phase, PhaseStatus};
use crate::status::WaitingCode;
use crate::words::{counted, listed};

/// Why a decision was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A batch was handed in.
    Accepted {
        /// Its essays.
        essays: u32,
    },
    /// Essays were added.
    Appended {
        /// How many.
        essays: u32,
    },
    /// No more essays come.
    Closed,
    /// Some texts were stored or refused, and others are left.
    TextsStored {
        /// Stored now.
        stored: u32,
        /// Refused now.
        refused: u32,
        /// Still on their way.
        left: u32,
    },
    /// The last text was stored or refused.
    AllTextsStored {
        /// Stored in all.
        stored: u32,
        /// Refused in all.
        refused: u32,
    },
    /// The Content Service took none of the texts.
    NothingStored,
    /// Texts cannot be stored just now.
    StorageStalled {
        /// Why.
        code: WaitingCode,
    },
    /// They could not be, however often it was tried.
    StorageOverdue {
        /// Why.
        code: WaitingCode,
    },
    /// The lifecycle service knows the batch.
    Registered,
    /// It has not said so in time.
    RegistrationOverdue,
    /// It never said so.
    RegistrationTimedOut,
    /// Somebody asked for phases.
    Started {
        /// What will run.
        phases: Vec<Phase>,
        /// Prerequisites that were added.
        added: Vec<Phase>,
        /// What had succeeded before and was left out.
        skipped: Vec<Phase>,
    },
    /// Some essays got a word, and others are open.
    EssaysReported {
        /// The phase.
        phase: Phase,
        /// Succeeded now.
        succeeded: u32,
        /// Failed now.
        failed: u32,
        /// Without a word.
        open: u32,
    },
    /// Every essay has a word and the outcome is missing.
    OutcomeAwaited {
        /// The phase.
        phase: Phase,
    },
    /// A phase was ended.
    PhaseEnded {
        /// The phase.
        phase: Phase,
        /// How it ended.
        status: PhaseStatus,
        /// What ended it.
        by: EndedBy,
    },
    /// Nothing was heard from a phase in time.
    NoSignOfLife {
        /// The phase.
        phase: Phase,
    },
    /// Somebody paused the batch.
    Paused,
    /// Somebody resumed it.
    Resumed,
    /// Somebody cancelled it, and it ends with the phase at work.
    Cancelling {
        /// The phase.
        phase: Phase,
    },
    /// Somebody cancelled it.
    Cancelled,
    /// Somebody tries failed essays again.
    Retried {
        /// The phase.
        phase: Phase,
        /// How many.
        essays: u32,
    },
    /// Other neighbours serve from now on.
    NeighboursReplaced,
    /// It was so already.
    Unchanged,
    /// The news is about something that is over.
    OldNews,
}

/// What ended a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// Its outcome, which calls the end so. The status comes from the counts.
    Outcome(OutcomeWord),
    /// The news about its last essay, where no outcome is expected.
    News,
    /// The news about its essays, since the outcome did not come in time.
    MissingOutcome,
    /// Its deadline.
    Deadline,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { essays } => write!(f, "{} handed in", counted(*essays, "essay")),
            Self::Appended { essays } => write!(f, "{} added", counted(*essays, "essay")),
            Self::Closed => f.write_str("closed: no more essays come"),
            Self::TextsStored { stored, refused, left } => {
                write!(f, "{} stored, {refused} refused, {left} on the way", counted(*stored, "text"))
            }
            Self::AllTextsStored { stored, refused } => {
                write!(f, "every text is accounted for: {stored} stored, {refused} refused")
            }
            Self::NothingStored => f.write_str("the Content Service took none of the texts"),
            Self::StorageStalled { code } => write!(f, "texts cannot be stored just now: {code}"),
            Self::StorageOverdue { code } => {
                write!(f, "texts cannot be stored, however often it was tried: {code}")
            }
            Self::Registered => f.write_str("the lifecycle service knows the batch"),
            Self::RegistrationOverdue => {
                f.write_str("the lifecycle service has not confirmed the batch in time")
            }
            Self::RegistrationTimedOut => f.write_str("the lifecycle service never confirmed the batch"),
            Self::Started { phases, added, skipped } => {
                write!(f, "asked to run {}", listed(phases))?;
                if !added.is_empty() {
                    write!(f, "; added since others need it: {}", listed(added))?;
                }
                if !skipped.is_empty() {
                    write!(f, "; left out since done: {}", listed(skipped))?;
                }
                Ok(())
            }
            Self::EssaysReported { phase, succeeded, failed, open } => {
                write!(f, "{phase}: {succeeded} succeeded, {failed} failed, {open} open")
            }
            Self::OutcomeAwaited { phase } => {
                write!(f, "{phase}: every essay has its word, the outcome is awaited")
            }
            Self::PhaseEnded { phase, status, by } => write!(f, "{phase} ended {status}, {by}"),
            Self::NoSignOfLife { phase } => write!(f, "nothing was heard from {phase} in time"),
            Self::Paused => f.write_str("paused: no further phase begins"),
            Self::Resumed => f.write_str("resumed"),
            Self::Cancelling { phase } => write!(f, "cancelled: ends when {phase} has ended"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Retried { phase, essays } => {
                write!(f, "{} again through {phase}", counted(*essays, "essay"))
            }
            Self::NeighboursReplaced => {
                f.write_str("other neighbours serve now, who are told what they must know")
            }
            Self::Unchanged => f.write_str("it was so already"),
            Self::OldNews => f.write_str("news about something that is over"),
        }
    }
}

impl fmt::Display for EndedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome(word) => write!(f, "its outcome says {word}"),
            Self::News => f.write_str("as the news about its essays says"),
            Self::MissingOutcome => f.write_str("as the news about its essays says, since no outcome came"),
            Self::Deadline => f.write_str("since its time was up"),
        }
    }
}
