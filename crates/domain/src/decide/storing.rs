//! Stage `Storing`: texts are being uploaded to the Content Service.

use chrono::{DateTime, Utc};

use super::effect::{Effect, Message};
use super::input::{Accept, Input};
use super::reason::Reason;
use super::step::{Step, Via, take_up_to};
use crate::batch::{Batch, Kind, Stage};
use crate::phase::Phase;
use crate::refusal::{CurrentState, Refusal};
use crate::settings::Settings;
use crate::status::{AttentionCode, Verb, WaitingCode};

/// Decides the first input of every batch.
pub(super) fn accept(
    accept: Accept,
    now: DateTime<Utc>,
    settings: &Settings,
) -> Result<(Step<'_>, Reason), Refusal> {
    let Accept { id, correlation_id, kind, language, essays, open, phases } = accept;
    let (essays, open, phases) = match kind {
        Kind::Class => (essays, open, phases),
        Kind::Single if phases.is_empty() => (essays.min(1), false, vec![Phase::Spellcheck]),
        Kind::Single => (essays.min(1), false, phases),
    };
    if essays == 0 {
        return Err(Refusal::NoEssays);
    }
    let batch = Batch {
        id,
        correlation_id,
        kind,
        language,
        revision: 0,
        run: 1,
        total: essays,
        stored: 0,
        waiting: essays,
        succeeded: 0,
        failed: 0,
        paused: false,
        plan: Vec::new(),
        phases: Vec::new(),
        stage: Stage::Storing { open, pending: essays },
        unregistered: false,
        waiting_on: None,
        attention: None,
        late_news: 0,
        created_at: now,
        updated_at: now,
        ended_at: None,
    };
    let mut step = Step::new(batch, now, settings);
    if !phases.is_empty() {
        step.plan(&phases)?;
    }
    step.wait(WaitingCode::Texts, Some(essays), None);
    Ok((step, Reason::Accepted { essays }))
}

pub(super) fn decide(step: &mut Step<'_>, open: bool, pending: u32, input: Input) -> Result<Reason, Refusal> {
    match input {
        Input::Accept(_) => Err(Refusal::AlreadyExists),
        Input::Append { .. } if !open => Err(Refusal::NotOpen { current: CurrentState::from(&step.batch) }),
        Input::Append { essays: 0 } => Err(Refusal::NoEssays),
        Input::Append { essays } => {
            let essays = essays.min(u32::MAX - step.batch.total);
            step.batch.total += essays;
            step.batch.waiting += essays;
            keep_storing(step, open, pending + essays);
            Ok(Reason::Appended { essays })
        }
        Input::Close if !open => Ok(Reason::Unchanged),
        Input::Close if pending > 0 => {
            step.batch.stage = Stage::Storing { open: false, pending };
            Ok(Reason::Closed)
        }
        Input::Close => {
            finish_storing(step);
            Ok(Reason::Closed)
        }
        Input::TextsStored { stored, refused } => Ok(texts_stored(step, open, pending, stored, refused)),
        Input::StorageStalled { code, next_check_at, overdue } => {
            Ok(stalled(step, pending, code, next_check_at, overdue))
        }
        Input::Start { phases } => step.plan(&phases),
        Input::Pause => Ok(step.pause()),
        Input::Resume => Ok(step.resume()),
        Input::Cancel { mode: _ } => Ok(step.cancel()),
        Input::Retry { .. } => Err(Refusal::wrong_stage(Verb::Retry, &step.batch)),
        // Nothing has been sent to the lifecycle service yet.
        Input::ServicesReplaced => Ok(Reason::Unchanged),
        // The registration has not been sent yet.
        Input::Registered if step.settings.registration => Err(Refusal::too_early(&step.batch)),
        // This stage sets no timer; without registration there is nothing to confirm.
        Input::Registered | Input::DeadlinePassed(_) | Input::LifecycleAnswered { .. } => Ok(Reason::Stale),
        Input::EssaysReported { succeeded, failed, stale, .. } => {
            Ok(step.count_late(succeeded.saturating_add(failed).saturating_add(stale)))
        }
        Input::OutcomeReported { succeeded, failed, .. } => {
            Ok(step.count_late(succeeded.saturating_add(failed)))
        }
    }
}

fn texts_stored(step: &mut Step<'_>, open: bool, mut pending: u32, stored: u32, refused: u32) -> Reason {
    let stored = take_up_to(&mut pending, stored);
    let refused = take_up_to(&mut pending, refused);
    if stored + refused == 0 {
        return Reason::Stale;
    }
    // The Content Service answers again.
    step.batch.attention = None;
    step.batch.stored += stored;
    step.batch.failed += refused;
    step.batch.waiting = step.batch.waiting.saturating_sub(refused);
    if pending > 0 || open {
        keep_storing(step, open, pending);
        return Reason::TextsStored { stored, refused, left: pending };
    }
    finish_storing(step);
    match step.batch.stored {
        0 => Reason::NothingStored,
        stored => Reason::AllTextsStored { stored, refused: step.batch.total.saturating_sub(stored) },
    }
}

/// Stays in this stage and waits for texts, or for the batch to be closed.
fn keep_storing(step: &mut Step<'_>, open: bool, pending: u32) {
    step.batch.stage = Stage::Storing { open, pending };
    match pending {
        0 => step.wait(WaitingCode::Close, None, None),
        _ => step.wait(WaitingCode::Texts, Some(pending), None),
    }
}

/// Notes why texts wait. The same code again changes nothing, so that a long outage adds no revisions.
fn stalled(
    step: &mut Step<'_>,
    pending: u32,
    code: WaitingCode,
    next_check_at: Option<DateTime<Utc>>,
    overdue: bool,
) -> Reason {
    let is_noted = step.batch.waiting_on.as_ref().is_some_and(|waiting_on| waiting_on.code == code);
    let is_new = overdue && step.batch.attention.is_none();
    if pending == 0 || (is_noted && !is_new) {
        return Reason::Unchanged;
    }
    step.wait(code, Some(pending), next_check_at);
    if is_new {
        step.raise_attention(AttentionCode::StorageOverdue);
        return Reason::StorageOverdue { code };
    }
    Reason::StorageStalled { code }
}

/// Leaves this stage: every text was stored or refused, and the batch is closed.
fn finish_storing(step: &mut Step<'_>) {
    step.batch.stage = Stage::Storing { open: false, pending: 0 };
    if step.batch.stored == 0 {
        step.end_run(step.end_by_counts());
    } else if !step.settings.registration {
        step.advance();
    } else if step.first_via() == Via::Requests {
        // The request follows without waiting: the spell checker accepts it from any service.
        step.emit(Effect::Send(Message::Registration));
        step.advance();
    } else {
        step.batch.stage = Stage::Registering;
        step.register();
    }
}
