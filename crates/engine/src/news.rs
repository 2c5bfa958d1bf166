//! News: what happened to a batch or is requested of it, and the cause of that.

use domain::{
    BatchId, CancelMode, CorrelationId, EssayId, LifecycleAnswer, OutcomeStatus, Phase, StorageId,
    WaitingCode,
};
use store::{DueTimer, EssayReport, Owner, StoredEssay};
use uuid::Uuid;

use crate::traceparent::Traceparent;

/// The consumer group on the bus, and the consumer's name in the inbox. It differs from the group of the Python service, so that
/// both services can run side by side.
pub const CONSUMER: &str = "batch-orchestrator-service-rs";

/// An event that happened to a batch, in the past tense, or a request of a caller.
///
/// One piece of news may speak of many essays: a task reports everything of one kind about a batch in one turn together, and it
/// makes one revision.
#[derive(Debug, Clone)]
pub enum News {
    /// The Content Service has stored some texts and refused others permanently.
    TextsStored {
        /// The essays whose text is stored, with its id and length.
        stored: Vec<StoredEssay>,
        /// Each essay with the stable code of the refusal.
        refused: Vec<(EssayId, String)>,
    },
    /// Texts cannot be stored at present: the Content Service is unavailable or rejects requests.
    StorageStalled {
        /// The reason, shown as what the batch waits for.
        code: WaitingCode,
        /// When ingest retries first.
        next_check_at: chrono::DateTime<chrono::Utc>,
        /// Whether ingest has retried more often than [`Settings::retry_limit`](crate::Settings::retry_limit), so that the batch
        /// needs attention.
        overdue: bool,
    },
    /// ELS has registered the batch and has all its texts.
    Registered,
    /// A worker has reported results of essays in one phase.
    EssaysReported {
        /// The phase that the essays were processed in.
        phase: Phase,
        /// The correlation id that the worker echoed. It tells the attempts of a phase apart.
        correlation: Option<CorrelationId>,
        /// The reports, one per essay.
        reports: Vec<EssayReport>,
    },
    /// ELS has reported what it knows of all essays of a phase, while it worked on none of them.
    PhaseOutcome {
        /// The phase.
        phase: Phase,
        /// The correlation id that ELS echoed.
        correlation: Option<CorrelationId>,
        /// The outcome of the phase as a whole.
        word: OutcomeStatus,
        /// Essays that succeeded, with the id of the text that the next phase gets.
        processed: Vec<(EssayId, StorageId)>,
        /// Essays that failed.
        failed: Vec<EssayId>,
    },
    /// The batch is served by other dependencies from now on, because the installation was promoted.
    ServicesReplaced,
    /// A caller requests phases.
    StartRequested {
        /// The requested phases.
        phases: Vec<Phase>,
    },
    /// A timer is due, and the lifecycle service was asked where the essays of the batch are.
    LifecycleAnswered {
        /// The timer's row, as in [`News::DeadlinePassed`].
        due: DueTimer,
        /// The answer.
        answer: LifecycleAnswer,
    },
    /// A timer is due. The row identifies the timer also by its due time, because a timer of the same kind may have been set
    /// again since the row was read.
    DeadlinePassed(DueTimer),
    /// A caller requests that no further phase starts.
    Pause,
    /// A caller requests that phases start again after a pause.
    Resume,
    /// A caller requests that the batch ends.
    Cancel(CancelMode),
    /// A caller closes an open batch: no more essays are added.
    Close,
}

impl News {
    /// The kind of news as a stable word, for span names.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::TextsStored { .. } => "texts_stored",
            Self::StorageStalled { .. } => "storage_stalled",
            Self::Registered => "registered",
            Self::EssaysReported { .. } => "essays_reported",
            Self::PhaseOutcome { .. } => "phase_outcome",
            Self::StartRequested { .. } => "start_requested",
            Self::LifecycleAnswered { .. } => "lifecycle_answered",
            Self::DeadlinePassed(_) => "deadline_passed",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel(_) => "cancel",
            Self::Close => "close",
            Self::ServicesReplaced => "neighbours_replaced",
        }
    }

    /// How many essays the news lists; `None` for news that lists none.
    pub(crate) const fn essays(&self) -> Option<usize> {
        match self {
            Self::TextsStored { stored, refused } => Some(stored.len() + refused.len()),
            Self::EssaysReported { reports, .. } => Some(reports.len()),
            Self::PhaseOutcome { processed, failed, .. } => Some(processed.len() + failed.len()),
            Self::StorageStalled { .. }
            | Self::Registered
            | Self::StartRequested { .. }
            | Self::LifecycleAnswered { .. }
            | Self::DeadlinePassed(_)
            | Self::Pause
            | Self::Resume
            | Self::Cancel(_)
            | Self::Close
            | Self::ServicesReplaced => None,
        }
    }
}

/// One piece of news about one batch.
#[derive(Debug, Clone)]
pub struct BatchNews {
    /// The batch.
    pub batch: BatchId,
    /// What happened or is requested.
    pub news: News,
    /// Where it comes from.
    pub cause: Cause,
}

/// Where news comes from, and the correlation id and trace context that it carried.
#[derive(Debug, Clone)]
pub struct Cause {
    /// The source of the news.
    pub origin: Origin,
    /// The correlation id of the request or message; it is recorded in the batch's timeline.
    pub correlation: Option<Uuid>,
    /// The trace context of the request or message.
    pub trace: Option<Traceparent>,
}

/// The source of a piece of news.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A message from the bus. Its event id goes into the inbox, so that it is applied once.
    Bus(ConsumedMessage),
    /// A caller, who may change only the caller's own batches.
    Caller(Owner),
    /// A task of this process, by its name.
    Task(&'static str),
}

/// The identity of a consumed message: its event id and its position on the bus.
#[derive(Debug, Clone)]
pub struct ConsumedMessage {
    /// The event id from the envelope; redeliveries have the same.
    pub event_id: Uuid,
    /// The topic's name.
    pub topic: &'static str,
    /// The partition; 0 on the embedded bus.
    pub partition: i64,
    /// The offset in the partition; the record's id on the embedded bus.
    pub offset: i64,
}
