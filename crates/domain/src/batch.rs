//! The aggregate: one batch, its stage, and its counts. It never holds the list of its essays.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::decide::Refusal;
use crate::ids::{BatchId, CorrelationId};
use crate::language::Language;
use crate::phase::{Phase, PhaseRecord, PhaseStatus};
use crate::status::{AttentionCode, BatchStatus, EssayState, Verb, WaitingCode};
use crate::words::words;

words! {
    /// How the essays came.
    pub enum Kind: "kind of batch" {
        /// One or more essays that a pipeline works on, by way of the lifecycle service.
        Class = "class",
        /// One essay that goes straight to the spell checker.
        Single = "single",
    }
}

/// A batch as it stands between two pieces of news.
///
/// The counts mirror the essay rows, which change in the same transaction: `waiting` + the running phase's open essays +
/// `succeeded` + `failed` + those cancelled or skipped = `total`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// The thread that all its messages belong to.
    pub correlation_id: CorrelationId,
    /// How its essays came.
    pub kind: Kind,
    /// The language of its essays.
    pub language: Language,
    /// How often it was saved. Set on save; the rules do not touch it.
    pub revision: i64,
    /// Which execution this is: 1 for the first, one more for each that is asked for after an end.
    pub run: u32,
    /// Essays accepted.
    pub total: u32,
    /// Essays whose text is at the Content Service.
    pub stored: u32,
    /// Essays that wait for a text, for the next phase or for the word to begin.
    pub waiting: u32,
    /// Essays that succeeded in everything asked for.
    pub succeeded: u32,
    /// Essays that failed, refused texts among them.
    pub failed: u32,
    /// No phase begins until somebody resumes.
    pub paused: bool,
    /// The phases asked for that have not begun, in order.
    pub plan: Vec<Phase>,
    /// One record for each phase ever asked for, in order.
    pub phases: Vec<PhaseRecord>,
    /// Where it is in its life.
    pub stage: Stage,
    /// The lifecycle service of today has never heard of the batch: it is told before it is commanded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unregistered: bool,
    /// What it waits for. Present exactly while it has not ended.
    pub waiting_on: Option<WaitingOn>,
    /// What a person should look at.
    pub attention: Option<Attention>,
    /// News that came too late or contradicted earlier news, in essays.
    pub late_news: u32,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When its latest run ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Where a batch is in its life. Each stage holds only what it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Stage {
    /// Texts are on their way to the Content Service.
    Storing {
        /// More essays may be appended.
        open: bool,
        /// Texts that are neither stored nor refused.
        pending: u32,
    },
    /// The lifecycle service has been told which essays the batch holds and has not confirmed.
    Registering,
    /// Nothing runs: no phase was asked for, or the batch is paused before its next one.
    Ready,
    /// A phase is at work.
    Running(Running),
    /// The run is over.
    Ended {
        /// How.
        end: End,
    },
}

/// The phase at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Which phase.
    pub phase: Phase,
    /// Which attempt at it, counted from 1 across runs.
    pub attempt: u32,
    /// Essays without a terminal word.
    pub open: u32,
    /// Something was heard from whoever does the work.
    pub seen_life: bool,
    /// The lifecycle service will say when the phase has ended; else the news about the last essay ends it.
    pub expects_outcome: bool,
    /// Somebody cancelled the batch; it ends with this phase.
    pub cancelling: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Every essay of the batch succeeded.
    Succeeded,
    /// Some essays succeeded.
    WithFailures,
    /// No essay succeeded.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

/// What a batch waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingOn {
    /// The thing awaited.
    pub code: WaitingCode,
    /// How many of them, as in "6 essays". Counts only; may be empty.
    pub detail: String,
    /// Since when it has waited for this.
    pub since: DateTime<Utc>,
    /// When the service looks again by itself, if a moment is known.
    pub next_check_at: Option<DateTime<Utc>>,
}

/// Something that a person should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// What it is.
    pub code: AttentionCode,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Which attempt a piece of news belongs to, by the correlation id that it echoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptMatch {
    /// The attempt at work now, of this number.
    Current(u32),
    /// An attempt of this number that is over.
    Older(u32),
    /// The phase is not at work.
    NotRunning,
    /// An attempt that has not begun. Its command has never left, as far as we know: this is what a database hears that was
    /// restored from a backup, and whose neighbours are ahead of it.
    Ahead,
}

/// How many attempts and runs beyond the present are recognised as ours to come.
const AHEAD: u32 = 4;

impl Batch {
    /// The status in the platform's client vocabulary.
    pub fn status(&self) -> BatchStatus {
        match &self.stage {
            Stage::Storing { .. } | Stage::Registering => BatchStatus::PendingContent,
            Stage::Ready if self.phases.iter().any(|record| record.run == self.run && record.attempt > 0) => {
                BatchStatus::Processing
            }
            Stage::Ready => BatchStatus::Ready,
            Stage::Running(_) => BatchStatus::Processing,
            Stage::Ended { end: End::Succeeded } => BatchStatus::CompletedSuccessfully,
            Stage::Ended { end: End::WithFailures } => BatchStatus::CompletedWithFailures,
            Stage::Ended { end: End::Failed } => BatchStatus::Failed,
            Stage::Ended { end: End::Cancelled } => BatchStatus::Cancelled,
        }
    }

    /// Whether the latest run is over.
    pub const fn is_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended { .. })
    }

    /// Whether somebody cancelled it and it ends with the phase at work.
    pub const fn is_cancelling(&self) -> bool {
        matches!(self.stage, Stage::Running(Running { cancelling: true, .. }))
    }

    /// The phase at work and its attempt.
    pub const fn current(&self) -> Option<(Phase, u32)> {
        match &self.stage {
            Stage::Running(running) => Some((running.phase, running.attempt)),
            Stage::Storing { .. } | Stage::Registering | Stage::Ready | Stage::Ended { .. } => None,
        }
    }

    /// What is remembered of a phase, if it was ever asked for.
    pub fn record(&self, phase: Phase) -> Option<&PhaseRecord> {
        self.phases.iter().find(|record| record.phase == phase)
    }

    /// The state of an essay that has just succeeded in the phase at work.
    pub const fn essay_state_after_success(&self) -> EssayState {
        if self.plan.is_empty() { EssayState::Succeeded } else { EssayState::Waiting }
    }

    /// Essays that are in no phase and never will be in this run: cancelled or skipped.
    pub const fn left_out(&self) -> u32 {
        let open = match &self.stage {
            Stage::Running(running) => running.open,
            Stage::Storing { .. } | Stage::Registering | Stage::Ready | Stage::Ended { .. } => 0,
        };
        self.total
            .saturating_sub(self.waiting)
            .saturating_sub(open)
            .saturating_sub(self.succeeded)
            .saturating_sub(self.failed)
    }

    /// What somebody can do with the batch now.
    pub fn allowed(&self) -> Vec<Verb> {
        let pausing = if self.paused { Verb::Resume } else { Verb::Pause };
        let is_class = self.kind == Kind::Class;
        match &self.stage {
            Stage::Storing { open: true, .. } => {
                vec![Verb::Append, Verb::Close, Verb::Start, pausing, Verb::Cancel]
            }
            Stage::Storing { open: false, .. } | Stage::Registering | Stage::Ready if is_class => {
                vec![Verb::Start, pausing, Verb::Cancel]
            }
            Stage::Storing { open: false, .. } | Stage::Registering | Stage::Ready | Stage::Running(_) => {
                vec![pausing, Verb::Cancel]
            }
            Stage::Ended { .. } => {
                let start = (is_class && self.succeeded > 0).then_some(Verb::Start);
                let failed_somewhere = self.phases.iter().any(|record| record.failed > 0);
                start.into_iter().chain(failed_somewhere.then_some(Verb::Retry)).collect()
            }
        }
    }

    /// Tells which attempt at `phase` a piece of news is about.
    ///
    /// An id that belongs to no other attempt counts as the current one's: neighbours of an older generation may echo
    /// nothing, or an id of their own.
    pub fn attempt_of(&self, phase: Phase, correlation: Option<CorrelationId>) -> AttemptMatch {
        let begun = self.record(phase).map_or(0, |record| record.attempt);
        if begun == 0 {
            return AttemptMatch::Ahead;
        }
        let belongs_to =
            |run, attempt| correlation == Some(self.correlation_id.for_attempt(run, phase, attempt));
        let at_work = self.current().and_then(|(at, attempt)| (at == phase).then_some(attempt));
        if let Some(attempt) = at_work.filter(|attempt| belongs_to(self.run, *attempt)) {
            return AttemptMatch::Current(attempt);
        }
        if let Some(older) = (1..begun).find(|older| (1..=self.run).any(|run| belongs_to(run, *older))) {
            return if at_work.is_some() { AttemptMatch::Older(older) } else { AttemptMatch::NotRunning };
        }
        let runs = self.run..=self.run.saturating_add(AHEAD);
        let mut ahead = (1..=AHEAD).map(|attempts| begun.saturating_add(attempts));
        if ahead.any(|attempt| runs.clone().any(|run| belongs_to(run, attempt))) {
            return AttemptMatch::Ahead;
        }
        at_work.map_or(AttemptMatch::NotRunning, AttemptMatch::Current)
    }

    /// Refuses news of something that the batch has not begun.
    pub fn too_early(&self) -> Refusal {
        Refusal::TooEarly { revision: self.revision }
    }

    /// Whether a phase has succeeded, at least for some essays.
    pub(crate) fn is_done(&self, phase: Phase) -> bool {
        self.record(phase).is_some_and(|record| record.status.is_success())
    }

    /// Changes the record of a phase, which is made if there is none.
    pub(crate) fn edit_record(&mut self, phase: Phase, edit: impl FnOnce(&mut PhaseRecord)) {
        if let Some(record) = self.phases.iter_mut().find(|record| record.phase == phase) {
            return edit(record);
        }
        let mut record = PhaseRecord::new(phase, self.run);
        edit(&mut record);
        self.phases.push(record);
        self.phases.sort_by_key(|record| record.phase);
    }

    /// Ends what was planned and never began. A phase with results of an earlier run keeps the status those gave.
    pub(crate) fn drop_plan(&mut self, status: PhaseStatus) {
        for phase in std::mem::take(&mut self.plan) {
            self.edit_record(phase, |record| {
                record.status = match record.succeeded {
                    0 => status,
                    succeeded => PhaseStatus::by_counts(succeeded, record.failed),
                };
            });
        }
    }
}
