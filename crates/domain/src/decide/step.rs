//! The verbs that the stages share: wait, plan, begin a phase, end it, go on, finish.

use chrono::{DateTime, Utc};

use super::effect::{Effect, Message};
use super::input::{Timer, TimerKind};
use super::reason::{EndedBy, Reason};
use super::refusal::Refusal;
use crate::batch::{Attention, Batch, End, Kind, Running, Stage, WaitingOn};
use crate::phase::{Phase, PhaseRecord, PhaseStatus};
use crate::pipeline::Pipeline;
use crate::settings::{Settings, after};
use crate::status::{AttentionCode, WaitingCode};
use crate::words::counted;

/// A decision in the making.
pub(super) struct Step<'a> {
    pub(super) batch: Batch,
    pub(super) effects: Vec<Effect>,
    pub(super) now: DateTime<Utc>,
    pub(super) settings: &'a Settings,
}

/// How a phase is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// By a command to the lifecycle service, which will send an outcome.
    Command,
    /// By a request for each essay to the spell checker; nobody sends an outcome.
    Requests,
}

impl<'a> Step<'a> {
    pub(super) fn new(batch: Batch, now: DateTime<Utc>, settings: &'a Settings) -> Self {
        Self { batch, effects: Vec::new(), now, settings }
    }

    pub(super) fn emit(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Counts essays whose news came too late.
    pub(super) fn late(&mut self, essays: u32) -> Reason {
        self.batch.late_news = self.batch.late_news.saturating_add(essays);
        Reason::OldNews
    }

    /// Says what the batch waits for. It keeps waiting since the same moment while that is the same thing.
    pub(super) fn wait(&mut self, code: WaitingCode, detail: String, next_check_at: Option<DateTime<Utc>>) {
        let since =
            self.batch.waiting_on.as_ref().filter(|old| old.code == code).map_or(self.now, |old| old.since);
        self.batch.waiting_on = Some(WaitingOn { code, detail, since, next_check_at });
    }

    pub(super) fn attend(&mut self, code: AttentionCode) {
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
        self.finish(End::Cancelled);
        Reason::Cancelled
    }

    /// Refuses a phase that nobody works on here, or that a single essay cannot go through.
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

    /// What `asked`, together with what is planned, comes to. Changes nothing.
    pub(super) fn resolve(&self, asked: &[Phase]) -> Result<Pipeline, Refusal> {
        let planned = self.batch.plan.iter().filter(|phase| !asked.contains(phase) && !asked.is_empty());
        let together: Vec<Phase> = asked.iter().chain(planned).copied().collect();
        let pipeline = Pipeline::resolve(&together, |phase| self.batch.is_done(phase))?;
        self.check_served(&pipeline.phases)?;
        Ok(pipeline)
    }

    /// Plans what was asked for. Begins nothing.
    pub(super) fn plan(&mut self, asked: &[Phase]) -> Result<Reason, Refusal> {
        let Pipeline { phases, added, skipped } = self.resolve(asked)?;
        if phases == self.batch.plan {
            return Ok(Reason::Unchanged);
        }
        self.adopt(phases.clone());
        Ok(Reason::Started { phases, added, skipped })
    }

    /// Makes `phases` the plan. What is counted in them stays counted.
    pub(super) fn adopt(&mut self, phases: Vec<Phase>) {
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
                    ..record.again(run)
                };
            });
        }
        self.batch.plan = phases;
    }

    /// Begins the next phase of the plan, or says what must happen first.
    pub(super) fn go_on(&mut self) {
        self.batch.stage = Stage::Ready;
        if self.batch.plan.is_empty() {
            self.wait(WaitingCode::Command, String::new(), None);
        } else if self.batch.paused {
            self.wait(WaitingCode::Resume, String::new(), None);
        } else {
            let phase = self.batch.plan.remove(0);
            let via = if self.batch.kind == Kind::Single { Via::Requests } else { Via::Command };
            self.begin(phase, via);
        }
    }

    /// Begins a phase with every waiting essay.
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
                ..record.again(run)
            };
        });
        let attempt = self.batch.record(phase).map_or(1, |record| record.attempt);
        self.emit(Effect::OpenEssays { phase, attempt });
        self.dispatch(phase, attempt, open, via);
        self.batch.stage = Stage::Running(Running {
            phase,
            attempt,
            open,
            seen_life: false,
            expects_outcome: via == Via::Command,
            cancelling: false,
        });
    }

    /// Has the open essays of an attempt worked on, by whoever serves the phase. A lifecycle service that has never heard of
    /// the batch is told first and commanded when it confirms: it would pass over a command for essays that it does not know.
    pub(super) fn dispatch(&mut self, phase: Phase, attempt: u32, open: u32, via: Via) {
        let end_by = after(self.now, self.settings.phase_timeout.get(phase));
        if via == Via::Command && self.batch.unregistered {
            self.register();
        } else {
            let start_by = after(self.now, self.settings.start_timeout.get(phase));
            self.emit(Effect::Send(match via {
                Via::Command => Message::Command { phase, attempt },
                Via::Requests => Message::SpellcheckRequests { attempt },
            }));
            self.set_timer(TimerKind::Start, Some(phase), attempt, start_by);
            self.wait(WaitingCode::Results, counted(open, "essay"), Some(start_by.min(end_by)));
        }
        self.set_timer(TimerKind::Phase, Some(phase), attempt, end_by);
    }

    /// Tells the lifecycle service which essays the batch holds, and waits for its word.
    pub(super) fn register(&mut self) {
        let due = after(self.now, self.settings.registration_timeout);
        self.emit(Effect::Send(Message::Registration));
        self.set_timer(TimerKind::Registration, None, 1, due);
        self.wait(WaitingCode::Registration, String::new(), Some(due));
    }

    /// The lifecycle service that knew the batch serves no longer. The one that does is told when there is something to do.
    pub(super) fn forget_registration(&mut self) -> Reason {
        if self.batch.kind == Kind::Class && self.settings.registration {
            self.batch.unregistered = true;
        }
        Reason::NeighboursReplaced
    }

    /// Ends the phase at work, of which no essay is open any more, and goes on or finishes.
    pub(super) fn end_phase(&mut self, running: Running, by: EndedBy) -> Reason {
        let Running { phase, cancelling, .. } = running;
        self.batch.stage = Stage::Running(running);
        let now = self.now;
        let mut status = PhaseStatus::Failed;
        self.batch.edit_record(phase, |record| {
            status = PhaseStatus::by_counts(record.succeeded, record.failed);
            record.status = status;
            record.completed_at = Some(now);
            record.outcome_missing = by == EndedBy::MissingOutcome;
        });
        self.batch.attention = None;
        if cancelling {
            self.finish(End::Cancelled);
        } else if self.batch.plan.is_empty() || self.batch.waiting == 0 {
            self.finish(self.end_by_counts());
        } else {
            self.emit(Effect::ClearTimers);
            self.go_on();
        }
        Reason::PhaseEnded { phase, status, by }
    }

    /// How the batch has ended by its counts.
    pub(super) fn end_by_counts(&self) -> End {
        match self.batch.succeeded {
            0 => End::Failed,
            all if all == self.batch.total => End::Succeeded,
            _ => End::WithFailures,
        }
    }

    /// Ends the run: whatever waits or is open stays behind, and whoever asked for phases is told.
    pub(super) fn finish(&mut self, end: End) {
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

/// Takes up to `wanted` from `pool` and says how many that were.
pub(super) fn take(pool: &mut u32, wanted: u32) -> u32 {
    let taken = wanted.min(*pool);
    *pool -= taken;
    taken
}
