//! Input → decision → rows: asks the rules, and performs the effects that they return.
//!
//! An effect names what is to happen. The lists of essays that it needs are read here, in the same transaction.

use domain::{Decision, Effect, Phase, Revive, TimerKind};
use store::Tx;

use super::change::Change;
use super::resolve;
use crate::error::Error;
use crate::news::News;
use crate::settings::Settings;
use crate::wire::to;

impl Change {
    /// Applies one piece of news to the batch. Returns whether the batch changes.
    pub(super) async fn apply_news(
        &mut self,
        tx: &mut Tx,
        news: &News,
        settings: &Settings,
    ) -> Result<bool, Error> {
        // Earlier news in this unit has set or cleared the timer, so the deadline that was read no longer counts.
        if let News::DeadlinePassed(due) | News::LifecycleAnswered { due, .. } = news
            && self.changes_timer(due.timer.kind)
        {
            return Ok(false);
        }
        let Some(input) = resolve::resolve(tx, &self.row, news).await? else { return Ok(false) };
        let decision = domain::decide(Some(self.row.batch.clone()), input, tx.now(), &settings.rules)?;
        self.apply_decision(tx, decision, settings).await
    }

    /// Makes the decision's state the batch's state, and performs the decision's effects. Returns whether the batch changes.
    pub(super) async fn apply_decision(
        &mut self,
        tx: &mut Tx,
        decision: Decision,
        settings: &Settings,
    ) -> Result<bool, Error> {
        let before = self.row.batch.current();
        self.row.batch = decision.next;
        for effect in decision.effects {
            perform(tx, self, before, effect, settings).await?;
        }
        if decision.changed {
            self.set_reason(decision.reason);
        }
        Ok(decision.changed)
    }
}

/// Performs one effect of a decision about `change`'s batch. `before` is the phase and attempt that ran before the decision.
async fn perform(
    tx: &mut Tx,
    change: &mut Change,
    before: Option<(Phase, u32)>,
    effect: Effect,
    settings: &Settings,
) -> Result<(), Error> {
    let (batch, shard) = (change.row.batch.id, change.row.shard);
    match effect {
        Effect::Send(message) => {
            let (trace, span) = change.send_span();
            let rows = to::messages(tx, &mut change.row, message, settings, trace).await?;
            change.send(span, rows);
        }
        Effect::SetTimer { timer, at } => change.set_timer(timer, at),
        Effect::ClearTimer(kind) => change.clear_timers(&[kind]),
        Effect::ClearTimers => change.clear_timers(TimerKind::ALL),
        Effect::OpenEssays { phase, attempt } => {
            tx.open_essays(batch, phase, attempt).await?;
        }
        Effect::FailOpenEssays { phase, attempt, code } => {
            tx.fail_open_essays(batch, phase, attempt, code.as_str()).await?;
        }
        Effect::CancelEssays => {
            if let Some((phase, attempt)) = before {
                tx.cancel_open_essays(batch, phase, attempt).await?;
            }
            tx.cancel_essays(batch).await?;
        }
        Effect::SkipEssays => {
            tx.skip_essays(batch).await?;
        }
        Effect::ReviveEssays(Revive::Succeeded) => {
            tx.revive_succeeded(batch).await?;
        }
        Effect::ReviveEssays(Revive::FailedIn(phase)) => {
            tx.revive_failed_in(batch, phase).await?;
        }
        Effect::DropStagedTexts => {
            tx.delete_all_staged(shard, batch).await?;
        }
        Effect::Note(entry) => change.entries.push(entry),
    }
    Ok(())
}
