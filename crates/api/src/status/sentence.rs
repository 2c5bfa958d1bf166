//! The status in one plain sentence.

use domain::{AttentionCode, Batch, End, Stage, WaitingCode};

use super::{Counts, Held};
use crate::problem::sentence as as_sentence;

/// As in "6 messages".
pub(super) fn messages(n: i64) -> String {
    if n == 1 { "1 message".to_owned() } else { format!("{n} messages") }
}

/// Says where the batch is: what is ready, what is being worked on, what failed, and what somebody should do.
pub(super) fn sentence(batch: &Batch, counts: &Counts, held: Option<Held>) -> String {
    let mut parts = vec![standing(batch, counts)];
    parts.extend(held.map(|held| {
        let verb = if held.messages == 1 { "waits" } else { "wait" };
        format!("{} {verb} for the event bus, which cannot be used just now", messages(held.messages))
    }));
    parts.extend(failures(batch, counts));
    if batch.paused && !batch.is_ended() {
        parts.push("paused, no further phase begins until it is resumed".to_owned());
    }
    parts.extend(batch.attention.map(|attention| attention_of(attention.code).to_owned()));
    as_sentence(&parts.join("; "))
}

fn standing(batch: &Batch, counts: &Counts) -> String {
    let total = counts.total;
    match &batch.stage {
        Stage::Storing { .. } => storing(batch, total),
        Stage::Registering => format!("{} stored; the lifecycle service is being told", essays(batch.stored)),
        Stage::Ready if batch.plan.is_empty() => {
            format!("{} ready; no phase was asked for yet", essays(counts.waiting))
        }
        Stage::Ready => format!("{} wait for the next phase", essays(counts.waiting)),
        Stage::Running(running) => {
            let open = counts.in_progress;
            let phase = running.phase;
            let end = if running.cancelling { "; cancelled, it ends with this phase" } else { "" };
            let work = match (open, batch.waiting_on.as_ref().map(|waiting| waiting.code)) {
                (0, _) | (_, Some(WaitingCode::Outcome)) => format!("waiting for the outcome of {phase}"),
                (_, Some(WaitingCode::Registration)) => {
                    format!("the lifecycle service is being told, {phase} comes after")
                }
                (open, _) => format!("{phase} is working on {open}"),
            };
            format!("{} of {total} ready; {work}{end}", counts.succeeded)
        }
        Stage::Ended { end: End::Succeeded } if total == 1 => "the essay is done".to_owned(),
        Stage::Ended { end: End::Succeeded } => format!("all {total} essays are done"),
        Stage::Ended { end: End::WithFailures } => format!("{} of {total} essays are done", counts.succeeded),
        Stage::Ended { end: End::Failed } => format!("ended, none of {} is done", essays(total)),
        Stage::Ended { end: End::Cancelled } => {
            format!("cancelled, {} of {total} essays are done", counts.succeeded)
        }
    }
}

fn storing(batch: &Batch, total: u32) -> String {
    let what = format!("{} of {total} texts are stored", batch.stored);
    match batch.waiting_on.as_ref().map(|waiting| waiting.code) {
        Some(WaitingCode::ContentUnreachable) => {
            format!("{what}; the Content Service cannot be reached just now")
        }
        Some(WaitingCode::ContentRefuses) => format!("{what}; the Content Service takes no texts just now"),
        Some(WaitingCode::Close) => format!("{what}; more may come until the batch is closed"),
        _ => what,
    }
}

/// Who failed where, as in "1 essay failed spellcheck".
fn failures(batch: &Batch, counts: &Counts) -> Vec<String> {
    let in_phases: u32 = batch.phases.iter().map(|record| record.failed).sum();
    let refused = counts.failed.saturating_sub(in_phases);
    let mut parts = Vec::new();
    if refused > 0 {
        parts.push(format!(
            "{} refused while {} text was stored",
            were(refused),
            if refused == 1 { "its" } else { "their" }
        ));
    }
    for record in batch.phases.iter().filter(|record| record.failed > 0) {
        parts.push(format!("{} failed {}", essays(record.failed), record.phase));
    }
    parts
}

const fn attention_of(code: AttentionCode) -> &'static str {
    match code {
        AttentionCode::NoSignOfLife => "nothing was heard from the phase at work, somebody should look",
        AttentionCode::StorageOverdue => {
            "the Content Service has not taken the texts for long, somebody should look"
        }
        AttentionCode::RegistrationOverdue => {
            "the lifecycle service is late to confirm, somebody should look"
        }
        AttentionCode::RegistrationTimeout => {
            "the lifecycle service never confirmed that it knows the essays"
        }
    }
}

fn essays(n: u32) -> String {
    if n == 1 { "1 essay".to_owned() } else { format!("{n} essays") }
}

fn were(n: u32) -> String {
    if n == 1 { "1 essay was".to_owned() } else { format!("{n} essays were") }
}
