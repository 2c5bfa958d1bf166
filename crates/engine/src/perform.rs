//! Effect → rows. An effect names what is to happen; the lists it needs are read here, in the same transaction.

use domain::{Effect, Phase, Revive, TimerKind};
use store::Tx;

use crate::change::Change;
use crate::{Error, Settings, to_wire};

/// Performs one effect of a decision about `change`'s batch; `before` is the phase and attempt that it found running.
pub(crate) async fn perform(
    tx: &mut Tx,
    change: &mut Change,
    before: Option<(Phase, u32)>,
    effect: Effect,
    settings: &Settings,
) -> Result<(), Error> {
    let (batch, shard) = (change.row.batch.id, change.row.shard);
    match effect {
        Effect::Send(message) => {
            let (place, span) = change.sending();
            let rows = to_wire::messages(tx, &mut change.row, message, settings, place).await?;
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
