//! Operations that the stages share: wait, plan, begin a phase, end it, advance, end the run.

use chrono::{DateTime, Utc};

use super::effect::{Effect, Message};
use super::input::{Timer, TimerKind};
use super::reason::{EndedBy, Reason};
use crate::batch::{Attention, Batch, End, Kind, Running, Stage, WaitingOn};
use crate::phase::{Phase, PhaseRecord, PhaseStatus};
use crate::pipeline::Pipeline;
use crate::refusal::Refusal;
use crate::settings::{Settings, SingleEssayRoad, after};
use crate::status::{AttentionCode, WaitingCode};

/// A decision under construction: the next state and the effects so far.
pub(super) struct Step<'a> {
    pub(super) batch: Batch,
    pub(super) effects: Vec<Effect>,
    pub(super) now: DateTime<Utc>,
    pub(super) settings: &'a Settings,
}

/// How a phase is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// By a command to the lifecycle service, which reports an outcome.
    Command,
    /// By one request per essay to the spell checker. There is no outcome.
    Requests,
}

impl Via {
    /// The message that starts a phase, or the one that is sent again for its open essays.
    pub(super) const fn message(self, phase: Phase, attempt: u32, resend: u32) -> Message {
        match self {
            Self::Command => Message::Command { phase, attempt, resend },
            Self::Requests => Message::SpellcheckRequests { attempt, resend },
        }
    }
}

impl<'a> Step<'a> {
    pub(super) fn new(batch: Batch, now: DateTime<Utc>, settings: &'a Settings) -> Self {
        Self { batch, effects: Vec::new(), now, settings }
    }

    pub(super) fn emit(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Counts results that arrived too late.
    pub(super) fn count_late(&mut self, essays: u32) -> Reason {
        self.batch.late_news = self.batch.late_news.saturating_add(essays);
        Reason::Stale
    }

    /// Sets what the batch waits for. `since` is kept while the code stays the same.
    pub(super) fn wait(
        &mut self,
        code: WaitingCode,
        essays: Option<u32>,
        next_check_at: Option<DateTime<Utc>>,
    ) {
        let since =
            self.batch.waiting_on.as_ref().filter(|old| old.code == code).map_or(self.now, |old| old.since);
        let resends = if let Stage::Running(running) = &self.batch.stage { running.resends } else { 0 };
        self.batch.waiting_on = Some(WaitingOn { code, essays, since, next_check_at, resends });
    }

    pub(super) fn raise_attention(&mut self, code: AttentionCode) {
        self.batch.attention = Some(Attention { code, since: self.now });
    }

    pub(super) fn set_timer(
        &mut self,
        kind: TimerKind,
        phase: Option<Phase>,
        attempt: u32,
        at: DateTime<Utc>,
    ) {
        self.emit(Effect::SetTimer { timer: Timer { kind, run: self.batch.run, phase, attempt }, at });
    }

    pub(super) fn pause(&mut self) -> Reason {
        if std::mem::replace(&mut self.batch.paused, true) { Reason::Unchanged } else { Reason::Paused }
    }

    pub(super) fn resume(&mut self) -> Reason {
        if std::mem::replace(&mut self.batch.paused, false) { Reason::Resumed } else { Reason::Unchanged }
    }

    pub(super) fn cancel(&mut self) -> Reason {
        self.end_run(End::Cancelled);
        Reason::Cancelled
    }

    /// Refuses a phase that no service processes, or that a single essay cannot go through.
    pub(super) fn check_served(&self, phases: &[Phase]) -> Result<(), Refusal> {
        for &phase in phases {
            if self.batch.kind == Kind::Single && phase != Phase::Spellcheck {
                return Err(Refusal::SingleEssay { phase });
            }
            if !self.settings.served.contains(phase) {
                return Err(Refusal::PhaseNotServed { phase, served: self.settings.served });
            }
        }
        Ok(())
    }

    /// Resolves the requested phases together with the planned ones. Changes nothing.
    pub(super) fn resolve(&self, requested: &[Phase]) -> Result<Pipeline, Refusal> {
        let planned =
            self.batch.plan.iter().filter(|phase| !requested.contains(phase) && !requested.is_empty());
        let together: Vec<Phase> = requested.iter().chain(planned).copied().collect();
        let pipeline = Pipeline::resolve(&together, |phase| self.batch.is_done(phase))?;
        self.check_served(&pipeline.phases)?;
        Ok(pipeline)
    }

    /// Plans the requested phases. Starts none.
    pub(super) fn plan(&mut self, requested: &[Phase]) -> Result<Reason, Refusal> {
        let Pipeline { phases, added, skipped } = self.resolve(requested)?;
        if phases == self.batch.plan {
            return Ok(Reason::Unchanged);
        }
        self.set_plan(phases.clone());
        Ok(Reason::Started { phases, added, skipped })
    }

    /// Makes `phases` the plan. Their counts are kept.
    pub(super) fn set_plan(&mut self, phases: Vec<Phase>) {
        let run = self.batch.run;
        for &phase in &phases {
            let is_free = phase.prerequisites().iter().all(|before| self.batch.is_done(*before));
            self.batch.edit_record(phase, |record| {
                *record = PhaseRecord {
                    status: if is_free {
                        PhaseStatus::RequestedByUser
                    } else {
                        PhaseStatus::PendingDependencies
                    },
                    ..record.for_next_attempt(run)
                };
            });
        }
        self.batch.plan = phases;
    }

    /// Begins the next phase of the plan, or waits for a start or resume request.
    pub(super) fn advance(&mut self) {
        self.batch.stage = Stage::Ready;
        if self.batch.plan.is_empty() {
            self.wait(WaitingCode::Command, None, None);
        } else if self.batch.paused {
            self.wait(WaitingCode::Resume, None, None);
        } else {
            let phase = self.batch.plan.remove(0);
            self.begin(phase, self.first_via());
        }
    }

    /// How the first attempt at a phase starts.
    pub(super) fn first_via(&self) -> Via {
        match (self.batch.kind, self.settings.single_essay_road) {
            (Kind::Single, SingleEssayRoad::Request) => Via::Requests,
            (Kind::Single, SingleEssayRoad::Lifecycle) | (Kind::Class, _) => Via::Command,
        }
    }

    /// Begins a phase with all waiting essays.
    pub(super) fn begin(&mut self, phase: Phase, via: Via) {
        let now = self.now;
        let run = self.batch.run;
        let open = std::mem::take(&mut self.batch.waiting);
        self.batch.edit_record(phase, |record| {
            *record = PhaseRecord {
                status: PhaseStatus::DispatchInitiated,
                attempt: record.attempt.saturating_add(1),
                total: record.succeeded.saturating_add(record.failed).saturating_add(open),
                started_at: Some(now),
                ..record.for_next_attempt(run)
            };
        });
        let attempt = self.batch.record(phase).map_or(1, |record| record.attempt);
        self.emit(Effect::OpenEssays { phase, attempt });
        self.batch.stage = Stage::Running(Running {
            phase,
            attempt,
            open,
            seen_life: false,
            expects_outcome: via == Via::Command,
            cancelling: false,
            resends: 0,
            quiet_since: None,
        });
        self.dispatch(phase, attempt, open, via);
    }

    /// Sends the open essays of an attempt to processing, and sets the phase's timers.
    ///
    /// If the lifecycle service does not know the batch, the registration is sent instead and the command follows its
    /// confirmation, because the service ignores a command for unknown essays.
    pub(super) fn dispatch(&mut self, phase: Phase, attempt: u32, open: u32, via: Via) {
        let end_by = after(self.now, self.settings.phase_timeout.get(phase));
        if via == Via::Command && self.batch.unregistered {
            self.register();
        } else {
            if self.batch.unregistered {
                // The spell checker accepts requests from any service, so they need not wait for the confirmation.
                self.emit(Effect::Send(Message::Registration));
            }
            self.emit(Effect::Send(via.message(phase, attempt, 0)));
            let start_timeout = self.settings.start_timeout.get(phase);
            let start_by = after(
                self.now,
                match self.settings.command_resends {
                    0 => start_timeout,
                    _ => start_timeout.min(self.settings.command_resend_after),
                },
            );
            self.set_timer(TimerKind::Start, Some(phase), attempt, start_by);
            self.wait(WaitingCode::Results, Some(open), Some(start_by.min(end_by)));
        }
        self.set_timer(TimerKind::Phase, Some(phase), attempt, end_by);
    }

    /// Sends the registration to the lifecycle service and waits for its confirmation.
    pub(super) fn register(&mut self) {
        let due = after(self.now, self.settings.registration_timeout);
        self.emit(Effect::Send(Message::Registration));
        self.set_timer(TimerKind::Registration, None, 1, due);
        self.wait(WaitingCode::Registration, None, Some(due));
    }

    /// Notes that the current lifecycle service does not know the batch. The registration is sent with the next command.
    pub(super) fn forget_registration(&mut self) -> Reason {
        if self.settings.registration {
            self.batch.unregistered = true;
        }
        Reason::ServicesReplaced
    }

    /// Notes that the current lifecycle service knows the batch.
    pub(super) fn confirm_registration(&mut self) -> Reason {
        self.batch.unregistered = false;
        self.emit(Effect::ClearTimer(TimerKind::Registration));
        Reason::Registered
    }

    /// Ends the running phase, which has no open essay, and begins the next phase or ends the run.
    pub(super) fn end_phase(&mut self, running: Running, by: EndedBy) -> Reason {
        let Running { phase, cancelling, .. } = running;
        self.batch.stage = Stage::Running(running);
        let now = self.now;
        let mut status = PhaseStatus::Failed;
        self.batch.edit_record(phase, |record| {
            status = PhaseStatus::from_counts(record.succeeded, record.failed);
            record.status = status;
            record.completed_at = Some(now);
            record.outcome_missing = by.lacks_outcome();
        });
        self.batch.attention = None;
        if cancelling {
            self.end_run(End::Cancelled);
        } else if self.batch.plan.is_empty() || self.batch.waiting == 0 {
            self.end_run(self.end_by_counts());
        } else {
            self.emit(Effect::ClearTimers);
            self.advance();
        }
        Reason::PhaseEnded { phase, status, by }
    }

    /// The result of the run by the counts of the batch.
    pub(super) fn end_by_counts(&self) -> End {
        match self.batch.succeeded {
            0 => End::Failed,
            all if all == self.batch.total => End::Succeeded,
            _ => End::WithFailures,
        }
    }

    /// Ends the run. Essays that wait or are open are cancelled or skipped, and the end of the pipeline is announced if this run
    /// had phases.
    pub(super) fn end_run(&mut self, end: End) {
        let is_cancelled = end == End::Cancelled;
        let (open, staged) = match &self.batch.stage {
            Stage::Running(running) => (running.open, 0),
            Stage::Storing { pending, .. } => (0, *pending),
            Stage::Registering | Stage::Ready | Stage::Ended { .. } => (0, 0),
        };
        if open > 0 || self.batch.waiting > 0 {
            self.emit(if is_cancelled { Effect::CancelEssays } else { Effect::SkipEssays });
        }
        if staged > 0 {
            self.emit(Effect::DropStagedTexts);
        }
        self.emit(Effect::ClearTimers);
        self.batch.drop_plan(if is_cancelled {
            PhaseStatus::Cancelled
        } else {
            PhaseStatus::SkippedDueToDependencyFailure
        });
        let run = self.batch.run;
        if self.batch.kind == Kind::Class && self.batch.phases.iter().any(|record| record.run == run) {
            self.emit(Effect::Send(Message::PipelineCompleted { run }));
        }
        self.batch.waiting = 0;
        self.batch.paused = false;
        self.batch.waiting_on = None;
        self.batch.attention = None;
        self.batch.ended_at = Some(self.now);
        self.batch.stage = Stage::Ended { end };
    }
}

/// Takes up to `wanted` from `pool` and returns how many it took.
pub(super) fn take_up_to(pool: &mut u32, wanted: u32) -> u32 {
    let taken = wanted.min(*pool);
    *pool -= taken;
    taken
}
