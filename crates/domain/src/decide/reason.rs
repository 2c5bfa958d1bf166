//! The reason of a decision, as a sentence for the timeline.

use std::fmt;

use super::input::OutcomeStatus;
use crate::phase::{Phase, PhaseStatus};
use crate::status::WaitingCode;
use crate::text::{counted, listed};

/// The reason of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A batch was submitted.
    Accepted {
        /// Number of essays.
        essays: u32,
    },
    /// Essays were appended.
    Appended {
        /// Number of essays.
        essays: u32,
    },
    /// The batch was closed to further essays.
    Closed,
    /// Some texts were stored or refused, and others are pending.
    TextsStored {
        /// Texts stored now.
        stored: u32,
        /// Texts refused now.
        refused: u32,
        /// Texts still pending.
        left: u32,
    },
    /// The last text was stored or refused.
    AllTextsStored {
        /// Texts stored in all.
        stored: u32,
        /// Texts refused in all.
        refused: u32,
    },
    /// The Content Service refused every text.
    NothingStored,
    /// Texts cannot be stored at present.
    StorageStalled {
        /// The cause.
        code: WaitingCode,
    },
    /// Texts could not be stored after the number of attempts that needs attention.
    StorageOverdue {
        /// The cause.
        code: WaitingCode,
    },
    /// The lifecycle service confirmed the registration.
    Registered,
    /// The lifecycle service has not confirmed the registration in time.
    RegistrationOverdue,
    /// The lifecycle service never confirmed the registration; the batch failed.
    RegistrationTimedOut,
    /// Phases were requested.
    Started {
        /// The phases that will run.
        phases: Vec<Phase>,
        /// Prerequisites that were added.
        added: Vec<Phase>,
        /// Requested phases that had already succeeded.
        skipped: Vec<Phase>,
    },
    /// Some essays have a result, and others are open.
    EssaysReported {
        /// The phase.
        phase: Phase,
        /// Essays that succeeded now.
        succeeded: u32,
        /// Essays that failed now.
        failed: u32,
        /// Essays without a result.
        open: u32,
    },
    /// Every essay has a result, and the outcome of the phase is awaited.
    OutcomeAwaited {
        /// The phase.
        phase: Phase,
    },
    /// An outcome arrived that leaves essays unnamed.
    OutcomeIncomplete {
        /// The phase.
        phase: Phase,
        /// Essays that no outcome has named.
        unnamed: u32,
    },
    /// Every essay has a result, and the lifecycle service was asked about the outcome and has not finished, or did not answer.
    OutcomeLate {
        /// The phase.
        phase: Phase,
    },
    /// Every essay has a result, and no outcome arrived within the time of the phase.
    OutcomeOverdue {
        /// The phase.
        phase: Phase,
    },
    /// The command or the requests for the open essays were sent again.
    Resent {
        /// The phase.
        phase: Phase,
        /// Essays without a result.
        essays: u32,
        /// How often it was sent again by now.
        resend: u32,
        /// How often it may be sent again.
        limit: u32,
    },
    /// A phase ended.
    PhaseEnded {
        /// The phase.
        phase: Phase,
        /// The final status of the phase.
        status: PhaseStatus,
        /// What ended the phase.
        by: EndedBy,
    },
    /// No result of a phase arrived before its start time-out.
    NoSignOfLife {
        /// The phase.
        phase: Phase,
    },
    /// The batch was paused.
    Paused,
    /// The batch was resumed.
    Resumed,
    /// The batch was cancelled and ends with the running phase.
    Cancelling {
        /// The running phase.
        phase: Phase,
    },
    /// The batch was cancelled.
    Cancelled,
    /// Failed essays are processed again.
    Retried {
        /// The phase.
        phase: Phase,
        /// Number of essays.
        essays: u32,
    },
    /// The neighbour services were replaced.
    ServicesReplaced,
    /// The batch is already as requested.
    Unchanged,
    /// The news is about something that has ended.
    Stale,
}

/// What ended a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The outcome, which reported this status. The phase's own status comes from its counts.
    Outcome(OutcomeStatus),
    /// The result of the last essay, where no outcome is expected.
    Results,
    /// The outcome did not arrive in time, so the results of the essays decided.
    MissingOutcome,
    /// The outcome did not arrive, and the lifecycle service said that it has finished every essay.
    LifecycleStatus,
    /// The outcome did not arrive, and a caller resumed the batch or requested the phase that follows.
    Resumed,
    /// The deadline of the phase.
    Deadline,
}

impl EndedBy {
    /// Whether the results of the essays ended a phase whose outcome had not arrived.
    pub(super) const fn lacks_outcome(self) -> bool {
        match self {
            Self::MissingOutcome | Self::LifecycleStatus | Self::Resumed => true,
            Self::Outcome(_) | Self::Results | Self::Deadline => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { essays } => write!(f, "{} accepted", counted(*essays, "essay")),
            Self::Appended { essays } => write!(f, "{} appended", counted(*essays, "essay")),
            Self::Closed => f.write_str("closed to further essays"),
            Self::TextsStored { stored, refused, left } => {
                write!(f, "{} stored, {refused} refused, {left} pending", counted(*stored, "text"))
            }
            Self::AllTextsStored { stored, refused } => {
                write!(f, "no text is pending: {stored} stored, {refused} refused")
            }
            Self::NothingStored => f.write_str("the Content Service refused every text"),
            Self::StorageStalled { code } => write!(f, "texts cannot be stored at present: {code}"),
            Self::StorageOverdue { code } => {
                write!(f, "texts cannot be stored after repeated attempts: {code}")
            }
            Self::Registered => f.write_str("the lifecycle service confirmed the registration"),
            Self::RegistrationOverdue => {
                f.write_str("the lifecycle service has not confirmed the registration in time")
            }
            Self::RegistrationTimedOut => {
                f.write_str("the lifecycle service never confirmed the registration")
            }
            Self::Started { phases, added, skipped } => {
                write!(f, "phases requested: {}", listed(phases))?;
                if !added.is_empty() {
                    write!(f, "; added as prerequisites: {}", listed(added))?;
                }
                if !skipped.is_empty() {
                    write!(f, "; left out as already done: {}", listed(skipped))?;
                }
                Ok(())
            }
            Self::EssaysReported { phase, succeeded, failed, open } => {
                write!(f, "{phase}: {succeeded} succeeded, {failed} failed, {open} open")
            }
            Self::OutcomeAwaited { phase } => {
                write!(f, "{phase}: every essay has a result, the outcome is awaited")
            }
            Self::OutcomeIncomplete { phase, unnamed } => {
                write!(f, "{phase}: the outcome leaves {} unnamed", counted(*unnamed, "essay"))
            }
            Self::OutcomeLate { phase } => {
                write!(f, "{phase}: the lifecycle service was asked and has not reported the end yet")
            }
            Self::OutcomeOverdue { phase } => {
                write!(
                    f,
                    "{phase}: no outcome arrived within the time of the phase; a request for the next phase goes on without it"
                )
            }
            Self::Resent { phase, essays, resend, limit } => {
                let essays = counted(*essays, "essay");
                write!(f, "{phase}: sent again for {essays} without a result ({resend} of at most {limit})")
            }
            Self::PhaseEnded { phase, status, by } => write!(f, "{phase} ended {status} {by}"),
            Self::NoSignOfLife { phase } => write!(f, "no result of {phase} arrived in time"),
            Self::Paused => f.write_str("paused: no further phase starts"),
            Self::Resumed => f.write_str("resumed"),
            Self::Cancelling { phase } => write!(f, "cancelled: the batch ends with {phase}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Retried { phase, essays } => {
                write!(f, "retry of {} in {phase}", counted(*essays, "essay"))
            }
            Self::ServicesReplaced => f.write_str("the lifecycle service and the workers were replaced"),
            Self::Unchanged => f.write_str("already as requested"),
            Self::Stale => f.write_str("news about something that has ended"),
        }
    }
}

impl fmt::Display for EndedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome(status) => write!(f, "with the outcome {status}"),
            Self::Results => f.write_str("by the results of its essays"),
            Self::MissingOutcome => f.write_str("by the results of its essays, because no outcome arrived"),
            Self::LifecycleStatus => f.write_str(
                "by the results of its essays, because the lifecycle service has finished them all",
            ),
            Self::Resumed => f.write_str("by the results of its essays, because a caller requested to go on"),
            Self::Deadline => f.write_str("at its deadline"),
        }
    }
}
