//! A phase that is silent: the command or a request may be lost, and is sent again for the open essays.
//!
//! A service that is killed while it handles a message can skip that message for good. The same command under a new event id is
//! taken at once, and changes nothing for essays that have left the entry status of the phase, so it does no harm where the
//! first one was not lost. The timer is not set again with each result: it finds out when it fires whether it was silent.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{phase_deadline, via};
use crate::batch::{Running, Stage};
use crate::decide::effect::Effect;
use crate::decide::input::{LifecycleAnswer, TimerKind};
use crate::decide::reason::Reason;
use crate::decide::step::{Step, Via};
use crate::settings::after;
use crate::status::{AttentionCode, WaitingCode};

/// Decides what the silence of open essays means: attention, a resend, or nothing yet. Sets the timer again while there is
/// something left to do.
pub(super) fn decide(step: &mut Step<'_>, mut running: Running, answer: Option<LifecycleAnswer>) -> Reason {
    let Running { phase, attempt, open, .. } = running;
    if via(&running) == Via::Command && step.batch.unregistered {
        // The command follows the registration, and sets the timer again.
        return Reason::Stale;
    }
    let answer = answer.filter(|_| via(&running) == Via::Command);
    let is_resent = has_resends_left(step, &running) && is_lost(step, &running, answer);
    if is_resent {
        running.resends += 1;
        running.quiet_since = Some(step.now);
        step.emit(Effect::Send(via(&running).message(phase, attempt, running.resends)));
    }
    let attention_at = attention_at(step, &running);
    let is_overdue = attention_at.is_some_and(|at| at <= step.now);
    if is_overdue {
        step.raise_attention(AttentionCode::NoSignOfLife);
    }
    let resend_at = has_resends_left(step, &running).then(|| match answer {
        // The essays are on their way, or were sent again just now.
        Some(_) => after(step.now, step.settings.start_timeout.get(phase)),
        None => after(quiet_since(step, &running), patience(step, &running, step.now)),
    });
    let next = [attention_at.filter(|_| !is_overdue), resend_at].into_iter().flatten().min();
    if let Some(at) = next {
        step.set_timer(TimerKind::Start, Some(phase), attempt, at);
    }
    let resend = running.resends;
    step.batch.stage = Stage::Running(running);
    let due = phase_deadline(step, phase).into_iter().chain(next).min();
    step.wait(WaitingCode::Results, Some(open), due);
    if is_resent {
        Reason::Resent { phase, essays: open, resend, limit: step.settings.command_resends }
    } else if is_overdue {
        Reason::NoSignOfLife { phase }
    } else {
        Reason::Unchanged
    }
}

/// When something is done next about open essays if the phase is silent from now on.
pub(super) fn next_check(step: &Step<'_>, running: &Running) -> Option<DateTime<Utc>> {
    let silent_at = has_resends_left(step, running)
        .then(|| after(quiet_since(step, running), patience(step, running, quiet_since(step, running))));
    phase_deadline(step, running.phase).into_iter().chain(silent_at).min()
}

fn has_resends_left(step: &Step<'_>, running: &Running) -> bool {
    running.resends < step.settings.command_resends
}

/// Whether the command or a request counts as lost: the lifecycle service has essays that the command would move, or it could
/// not be asked and the silence is long enough.
fn is_lost(step: &Step<'_>, running: &Running, answer: Option<LifecycleAnswer>) -> bool {
    let silent_for = |wait| step.now >= after(quiet_since(step, running), wait);
    match answer {
        Some(answer) => answer.ready > 0 && silent_for(asking_after(step, running)),
        None => silent_for(step.settings.command_resend_after),
    }
}

/// The silence, measured from the last sign of life, after which the timer fires next: when the lifecycle service is to be
/// asked, or, where it cannot be asked or has not answered, when the message is sent again.
fn patience(step: &Step<'_>, running: &Running, now: DateTime<Utc>) -> Duration {
    let asking_after = asking_after(step, running);
    let can_ask = step.settings.asks_lifecycle && via(running) == Via::Command;
    if can_ask && now < after(quiet_since(step, running), asking_after) {
        asking_after
    } else {
        step.settings.command_resend_after
    }
}

fn asking_after(step: &Step<'_>, running: &Running) -> Duration {
    step.settings.start_timeout.get(running.phase).min(step.settings.command_resend_after)
}

fn quiet_since(step: &Step<'_>, running: &Running) -> DateTime<Utc> {
    running.quiet_since.or_else(|| step.batch.record(running.phase)?.started_at).unwrap_or(step.now)
}

/// When the phase needs attention because no result has arrived; `None` when one has, or when it has attention already.
fn attention_at(step: &Step<'_>, running: &Running) -> Option<DateTime<Utc>> {
    if running.seen_life || step.batch.attention.is_some() {
        return None;
    }
    let started_at = step.batch.record(running.phase)?.started_at?;
    Some(after(started_at, step.settings.start_timeout.get(running.phase)))
}
