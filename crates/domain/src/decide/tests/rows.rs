//! The essay rows and timers as the database would hold them, changed only by news and by effects.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::decide::{Accept, Decision, Effect, Input, Message, Revive, Timer, TimerKind};
use crate::{Batch, EssayState, Phase};

/// An essay: its state, and the phase in which it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    state: EssayState,
    has_text: bool,
    failed_in: Option<Phase>,
    /// The phase and attempt that it last took part in.
    attempt: Option<(Phase, u32)>,
    /// Whether an outcome of that attempt has named it.
    is_named: bool,
}

/// The database as the effects of all decisions left it.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    essays: Vec<Row>,
    /// The failed essays that the latest retry named.
    named: u32,
    /// The timers, each with its due time.
    pub(super) timers: BTreeMap<TimerKind, (Timer, DateTime<Utc>)>,
    pub(super) completed: Vec<u32>,
    /// Commands and requests: phase, attempt, resend.
    pub(super) commands: Vec<(Phase, u32, u32)>,
}

impl Rows {
    pub(super) fn count(&self, state: EssayState) -> u32 {
        self.count_where(|row| row.state == state)
    }

    pub(super) fn total(&self) -> u32 {
        self.count_where(|_| true)
    }

    fn count_where(&self, is: impl Fn(&Row) -> bool) -> u32 {
        u32::try_from(self.essays.iter().filter(|row| is(row)).count()).unwrap()
    }

    fn change(&mut self, limit: u32, is: impl Fn(&Row) -> bool, change: impl Fn(&mut Row)) -> u32 {
        let mut changed = 0;
        for row in self.essays.iter_mut().filter(|row| is(row)).take(limit as usize) {
            change(row);
            changed += 1;
        }
        changed
    }

    /// Performs an effect, which must change at least one row.
    fn effect(&mut self, limit: u32, is: impl Fn(&Row) -> bool, change: impl Fn(&mut Row)) {
        assert!(self.change(limit, is, change) > 0, "an effect on essays changed no essay");
    }

    fn add(&mut self, essays: u32) {
        let row = Row {
            state: EssayState::Waiting,
            has_text: false,
            failed_in: None,
            attempt: None,
            is_named: false,
        };
        self.essays.extend(std::iter::repeat_n(row, essays as usize));
    }

    /// Applies news to the rows by compare-and-set and returns the input with the numbers of changed rows.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only some news changes rows")]
    pub(super) fn resolve(&mut self, batch: &Batch, input: Input) -> Input {
        match input {
            Input::TextsStored { stored, refused } if !batch.is_ended() => {
                let staged = |row: &Row| row.state == EssayState::Waiting && !row.has_text;
                let stored = self.change(stored, staged, |row| row.has_text = true);
                let refused = self.change(refused, staged, |row| row.state = EssayState::Failed);
                Input::TextsStored { stored, refused }
            }
            Input::EssaysReported { phase, attempt, succeeded, failed, stale } => {
                let (ok, bad) = self.conclude(batch, phase, attempt, succeeded, failed);
                let stale = stale + (succeeded - ok) + (failed - bad);
                Input::EssaysReported { phase, attempt, succeeded: ok, failed: bad, stale }
            }
            // An outcome names the essays with a result. As many as the input says, it leaves out.
            Input::OutcomeReported { phase, attempt, status, succeeded, failed, unnamed } => {
                let (mut succeeded, mut failed) = (succeeded, failed);
                if batch.expects_outcome() {
                    (succeeded, failed) = self.conclude(batch, phase, attempt, succeeded, failed);
                }
                let of_attempt = |row: &Row| row.attempt == Some((phase, attempt)) && !row.is_named;
                let has_result = |row: &Row| of_attempt(row) && row.state != EssayState::InProgress;
                let names = self.count_where(has_result).saturating_sub(unnamed);
                self.change(names, has_result, |row| row.is_named = true);
                let unnamed = self.count_where(of_attempt);
                Input::OutcomeReported { phase, attempt, status, succeeded, failed, unnamed }
            }
            Input::Retry { phase, essays, downstream } => {
                let failed = |row: &Row| row.state == EssayState::Failed && row.failed_in == Some(phase);
                let essays = self.count_where(failed).min(essays);
                self.named = essays;
                Input::Retry { phase, essays, downstream }
            }
            other => other,
        }
    }

    fn conclude(&mut self, batch: &Batch, phase: Phase, attempt: u32, ok: u32, bad: u32) -> (u32, u32) {
        if batch.current() != Some((phase, attempt)) {
            return (0, 0);
        }
        let open = |row: &Row| row.state == EssayState::InProgress;
        let then = batch.essay_state_after_success();
        let succeeded = self.change(ok, open, |row| row.state = then);
        let failed = self.change(bad, open, |row| {
            row.state = EssayState::Failed;
            row.failed_in = Some(phase);
        });
        (succeeded, failed)
    }

    /// Performs the effects of a decision.
    pub(super) fn perform(&mut self, input: &Input, decision: &Decision) {
        if let Input::Accept(Accept { essays, .. }) | Input::Append { essays } = input {
            self.add(*essays);
        }
        for effect in &decision.effects {
            self.perform_one(effect);
        }
    }

    fn perform_one(&mut self, effect: &Effect) {
        use EssayState::{Cancelled, Failed, InProgress, Skipped, Succeeded, Waiting};
        match *effect {
            Effect::Send(Message::PipelineCompleted { run }) => self.completed.push(run),
            Effect::Send(Message::Command { phase, attempt, resend }) => {
                self.commands.push((phase, attempt, resend));
            }
            Effect::Send(Message::SpellcheckRequests { attempt, resend }) => {
                self.commands.push((Phase::Spellcheck, attempt, resend));
            }
            Effect::Send(Message::Registration) | Effect::Note(_) | Effect::DropStagedTexts => {}
            Effect::SetTimer { timer, at } => {
                self.timers.insert(timer.kind, (timer, at));
            }
            Effect::ClearTimer(kind) => {
                self.timers.remove(&kind);
            }
            Effect::ClearTimers => self.timers.clear(),
            Effect::OpenEssays { phase, attempt } => {
                let open = |row: &mut Row| {
                    (row.state, row.attempt, row.is_named) = (InProgress, Some((phase, attempt)), false);
                };
                self.effect(u32::MAX, |row| row.state == Waiting, open);
            }
            Effect::FailOpenEssays { phase, .. } => {
                let fail = |row: &mut Row| (row.state, row.failed_in) = (Failed, Some(phase));
                self.effect(u32::MAX, |row| row.state == InProgress, fail);
            }
            Effect::CancelEssays => {
                let is_left = |row: &Row| matches!(row.state, Waiting | InProgress);
                self.effect(u32::MAX, is_left, |row| row.state = Cancelled);
            }
            Effect::SkipEssays => {
                self.effect(u32::MAX, |row| row.state == Waiting, |row| row.state = Skipped);
            }
            Effect::ReviveEssays(Revive::Succeeded) => {
                self.effect(u32::MAX, |row| row.state == Succeeded, |row| row.state = Waiting);
            }
            Effect::ReviveEssays(Revive::FailedIn(phase)) => {
                let is_named = |row: &Row| row.state == Failed && row.failed_in == Some(phase);
                self.effect(self.named, is_named, |row| (row.state, row.failed_in) = (Waiting, None));
            }
        }
    }
}
