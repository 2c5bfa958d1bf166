//! The aggregate: one batch, its stage and its counts. It never holds the list of its essays.

mod waiting_on;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use string_enum::string_enum;

pub use self::waiting_on::WaitingOn;
use crate::ids::{BatchId, CorrelationId};
use crate::language::Language;
use crate::phase::{Phase, PhaseRecord, PhaseStatus};
use crate::status::{AttentionCode, BatchStatus, EssayState, Verb};

string_enum! {
    /// How the essays of a batch were submitted.
    pub enum Kind: "kind of batch" {
        /// One or more essays that go through a pipeline by way of the lifecycle service.
        Class = "class",
        /// One essay that is spellchecked and nothing else, by the road of [`SingleEssayRoad`](crate::SingleEssayRoad). For
        /// other services it is a batch of one.
        Single = "single",
    }
}

/// The state of a batch after its latest decision.
///
/// The counts mirror the essay rows, which change in the same transaction: `waiting`, the open essays of the running phase,
/// `succeeded`, `failed`, and the cancelled or skipped essays sum to `total`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The id of the batch.
    pub id: BatchId,
    /// The correlation id that the batch's messages carry; see [`CorrelationId::for_attempt`].
    pub correlation_id: CorrelationId,
    /// How the essays were submitted.
    pub kind: Kind,
    /// The language of the essays.
    pub language: Language,
    /// Number of times the batch was saved. The store sets it; the rules never change it.
    pub revision: i64,
    /// The current or latest run, counted from 1.
    pub run: u32,
    /// Essays accepted.
    pub total: u32,
    /// Essays whose text is at the Content Service.
    pub stored: u32,
    /// Essays waiting for their text to be stored, for the next phase, or for a start request.
    pub waiting: u32,
    /// Essays that succeeded in every requested phase.
    pub succeeded: u32,
    /// Essays that failed in a phase or whose text was refused.
    pub failed: u32,
    /// While set, no further phase starts.
    pub paused: bool,
    /// Requested phases that have not started, in order.
    pub plan: Vec<Phase>,
    /// One record for each phase that was ever requested, in order.
    pub phases: Vec<PhaseRecord>,
    /// The current stage.
    pub stage: Stage,
    /// The current lifecycle service does not know the batch, so the registration must precede the next command. Set when
    /// [`Input::ServicesReplaced`](crate::Input::ServicesReplaced) is decided.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unregistered: bool,
    /// What the batch waits for. `None` exactly when it has ended.
    pub waiting_on: Option<WaitingOn>,
    /// What an operator should look into.
    pub attention: Option<Attention>,
    /// Number of essay results that arrived too late or contradicted an earlier result.
    pub late_news: u32,
    /// When the batch was accepted.
    pub created_at: DateTime<Utc>,
    /// When the batch last changed.
    pub updated_at: DateTime<Utc>,
    /// When the latest run ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// The stage of a batch in its life, with the data that only this stage needs. Internal; clients see [`BatchStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Stage {
    /// Texts are being uploaded to the Content Service.
    Storing {
        /// Whether essays can still be appended.
        open: bool,
        /// Texts that are neither stored nor refused yet.
        pending: u32,
    },
    /// The registration was sent to the lifecycle service and is not confirmed yet.
    Registering,
    /// No phase runs: none was requested, or the batch is paused before the next one.
    Ready,
    /// A phase runs.
    Running(Running),
    /// The run has ended.
    Ended {
        /// The result of the run.
        end: End,
    },
}

/// The running phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The phase.
    pub phase: Phase,
    /// The attempt at the phase, counted from 1 across runs.
    pub attempt: u32,
    /// Essays without a result in this attempt.
    pub open: u32,
    /// Whether any result of this attempt has arrived.
    pub seen_life: bool,
    /// Whether the lifecycle service reports outcomes. Then the phase ends when outcomes have named every essay of the attempt;
    /// if not, it ends with the result of its last essay.
    pub expects_outcome: bool,
    /// Whether the batch was cancelled and ends with this phase.
    pub cancelling: bool,
    /// How often the command or the requests of this attempt were sent again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resends: u32,
    /// When something was last sent or a result last arrived. `None`: when the phase started, as in rows of earlier programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_since: Option<DateTime<Utc>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
pub(crate) const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Every essay of the batch succeeded.
    Succeeded,
    /// Some essays succeeded.
    WithFailures,
    /// No essay succeeded.
    Failed,
    /// The batch was cancelled.
    Cancelled,
}

/// Something that an operator should look into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// The reason.
    pub code: AttentionCode,
    /// When it was raised.
    pub since: DateTime<Utc>,
}

/// The attempt that a piece of news belongs to, by the correlation id that it echoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptMatch {
    /// The running attempt, with its number.
    Current(u32),
    /// An earlier attempt at the running phase, with its number.
    Older(u32),
    /// The phase has run and does not run now.
    NotRunning,
    /// An attempt that has not started here. A database restored from a backup receives such news, because the other services
    /// are ahead of it.
    Ahead,
}

/// How many attempts and runs after the current one [`Batch::attempt_of`] recognises as [`AttemptMatch::Ahead`]. Chosen: a
/// database restored from a backup is rarely more than a few retries behind.
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

    /// Whether the latest run has ended.
    pub const fn is_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended { .. })
    }

    /// Whether the batch was cancelled and ends with the running phase.
    pub const fn is_cancelling(&self) -> bool {
        matches!(self.stage, Stage::Running(Running { cancelling: true, .. }))
    }

    /// Whether a phase runs whose outcome the lifecycle service reports.
    pub const fn expects_outcome(&self) -> bool {
        matches!(self.stage, Stage::Running(Running { expects_outcome: true, .. }))
    }

    /// Whether the batch goes on only when the outcome of its phase arrives, on a resume request, or when the phase that follows is
    /// requested.
    pub fn is_outcome_overdue(&self) -> bool {
        self.attention.is_some_and(|attention| attention.code == AttentionCode::OutcomeOverdue)
    }

    /// The running phase and its attempt.
    pub const fn current(&self) -> Option<(Phase, u32)> {
        match &self.stage {
            Stage::Running(running) => Some((running.phase, running.attempt)),
            Stage::Storing { .. } | Stage::Registering | Stage::Ready | Stage::Ended { .. } => None,
        }
    }

    /// The record of a phase, if it was ever requested.
    pub fn record(&self, phase: Phase) -> Option<&PhaseRecord> {
        self.phases.iter().find(|record| record.phase == phase)
    }

    /// The state of an essay that has just succeeded in the running phase.
    pub const fn essay_state_after_success(&self) -> EssayState {
        if self.plan.is_empty() { EssayState::Succeeded } else { EssayState::Waiting }
    }

    /// Number of cancelled or skipped essays, which take no further part in this run.
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

    /// The verbs that the batch accepts now.
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
            Stage::Running(_) if self.is_outcome_overdue() && self.paused => {
                vec![Verb::Start, Verb::Resume, Verb::Cancel]
            }
            Stage::Running(_) if self.is_outcome_overdue() => {
                vec![Verb::Start, Verb::Resume, Verb::Pause, Verb::Cancel]
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

    /// Finds the attempt at `phase` that a piece of news is about.
    ///
    /// An unknown or missing correlation id counts as the running attempt's, because services of an older generation echo
    /// none, or an id of their own.
    pub fn attempt_of(&self, phase: Phase, correlation: Option<CorrelationId>) -> AttemptMatch {
        let begun = self.record(phase).map_or(0, |record| record.attempt);
        if begun == 0 {
            return AttemptMatch::Ahead;
        }
        let belongs_to =
            |run, attempt| correlation == Some(self.correlation_id.for_attempt(run, phase, attempt));
        let running = self.current().and_then(|(current, attempt)| (current == phase).then_some(attempt));
        if let Some(attempt) = running.filter(|attempt| belongs_to(self.run, *attempt)) {
            return AttemptMatch::Current(attempt);
        }
        if let Some(older) = (1..begun).find(|older| (1..=self.run).any(|run| belongs_to(run, *older))) {
            return if running.is_some() { AttemptMatch::Older(older) } else { AttemptMatch::NotRunning };
        }
        let runs = self.run..=self.run.saturating_add(AHEAD);
        let mut ahead = (1..=AHEAD).map(|attempts| begun.saturating_add(attempts));
        if ahead.any(|attempt| runs.clone().any(|run| belongs_to(run, attempt))) {
            return AttemptMatch::Ahead;
        }
        running.map_or(AttemptMatch::NotRunning, AttemptMatch::Current)
    }

    /// Whether a phase has succeeded for at least one essay.
    pub(crate) fn is_done(&self, phase: Phase) -> bool {
        self.record(phase).is_some_and(|record| record.status.is_success())
    }

    /// Changes the record of a phase; creates it first if there is none.
    pub(crate) fn edit_record(&mut self, phase: Phase, edit: impl FnOnce(&mut PhaseRecord)) {
        if let Some(record) = self.phases.iter_mut().find(|record| record.phase == phase) {
            return edit(record);
        }
        let mut record = PhaseRecord::new(phase, self.run);
        edit(&mut record);
        self.phases.push(record);
        self.phases.sort_by_key(|record| record.phase);
    }

    /// Empties the plan and gives its phases `status`. A phase with results of an earlier run gets the status of those.
    pub(crate) fn drop_plan(&mut self, status: PhaseStatus) {
        for phase in std::mem::take(&mut self.plan) {
            self.edit_record(phase, |record| {
                record.status = match record.succeeded {
                    0 => status,
                    succeeded => PhaseStatus::from_counts(succeeded, record.failed),
                };
            });
        }
    }
}
