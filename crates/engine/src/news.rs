//! What arrived, and why we believe it.

use domain::{CancelMode, CorrelationId, EssayId, OutcomeStatus, Phase, StorageId, WaitingCode};
use store::{DueTimer, EssayReport, StoredEssay};
use uuid::Uuid;

use crate::Traceparent;

/// Something that happened to a batch, in the past tense, or something somebody wants of it.
///
/// News is plural: everything of one kind that arrived for a batch in one turn travels together and makes one revision.
#[derive(Debug, Clone)]
pub enum News {
    /// Ingest has had these texts stored, and these refused for good.
    TextsStored {
        /// Essay, where its text is now, and its length in bytes.
        stored: Vec<StoredEssay>,
        /// Essay and stable code of the refusal.
        refused: Vec<(EssayId, String)>,
    },
    /// Ingest cannot get texts stored just now.
    StorageStalled {
        /// What the batch waits for.
        code: WaitingCode,
        /// When ingest tries again.
        next_check_at: chrono::DateTime<chrono::Utc>,
        /// It has tried as often as it does before somebody should look.
        overdue: bool,
    },
    /// ELS knows the batch and has all its texts.
    Registered,
    /// A worker has spoken about essays of one phase.
    EssaysReported {
        /// The phase.
        phase: Phase,
        /// The correlation id the worker echoed: tells attempts apart.
        correlation: Option<CorrelationId>,
        /// One word per essay.
        reports: Vec<EssayReport>,
    },
    /// ELS says that a phase has ended.
    PhaseOutcome {
        /// The phase.
        phase: Phase,
        /// The correlation id ELS echoed.
        correlation: Option<CorrelationId>,
        /// Its verdict.
        word: OutcomeStatus,
        /// Essays that went through, with the text the next phase gets.
        processed: Vec<(EssayId, StorageId)>,
        /// Essays that did not.
        failed: Vec<EssayId>,
    },
    /// Other neighbours serve from now on.
    NeighboursReplaced,
    /// A caller wants phases run.
    StartRequested {
        /// Which.
        phases: Vec<Phase>,
    },
    /// A timer is due. Which one is told by when it was due, too: meanwhile the same may have been set anew.
    DeadlinePassed(DueTimer),
    /// A caller wants no new phase to begin.
    Pause,
    /// A caller takes that back.
    Resume,
    /// A caller wants the batch ended.
    Cancel(CancelMode),
    /// A caller closes an open batch.
    Close,
}

impl News {
    /// What kind of news it is, in a word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::TextsStored { .. } => "texts_stored",
            Self::StorageStalled { .. } => "storage_stalled",
            Self::Registered => "registered",
            Self::EssaysReported { .. } => "essays_reported",
            Self::PhaseOutcome { .. } => "phase_outcome",
            Self::StartRequested { .. } => "start_requested",
            Self::DeadlinePassed(_) => "deadline_passed",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel(_) => "cancel",
            Self::Close => "close",
            Self::NeighboursReplaced => "neighbours_replaced",
        }
    }

    /// How many essays it speaks of, if of any one by one.
    pub(crate) const fn essays(&self) -> Option<usize> {
        match self {
            Self::TextsStored { stored, refused } => Some(stored.len() + refused.len()),
            Self::EssaysReported { reports, .. } => Some(reports.len()),
            Self::PhaseOutcome { processed, failed, .. } => Some(processed.len() + failed.len()),
            Self::StorageStalled { .. }
            | Self::Registered
            | Self::StartRequested { .. }
            | Self::DeadlinePassed(_)
            | Self::Pause
            | Self::Resume
            | Self::Cancel(_)
            | Self::Close
            | Self::NeighboursReplaced => None,
        }
    }
}

/// Why the news is believed and what it belongs to.
#[derive(Debug, Clone)]
pub struct Cause {
    /// Where it came from.
    pub origin: Origin,
    /// The correlation id of the request or event.
    pub correlation: Option<Uuid>,
    /// The place in a trace that the request or message carried.
    pub trace: Option<Traceparent>,
}

/// Where news comes from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A message on the bus; its id goes into the inbox, so that it is applied once.
    Bus(Message),
    /// A caller.
    Caller(crate::Owner),
    /// One of our own tasks.
    Task(&'static str),
}

/// The place of a message on the bus.
#[derive(Debug, Clone)]
pub struct Message {
    /// The event's id.
    pub event_id: Uuid,
    /// The topic's name.
    pub topic: &'static str,
    /// The partition.
    pub partition: i64,
    /// The offset.
    pub offset: i64,
}
