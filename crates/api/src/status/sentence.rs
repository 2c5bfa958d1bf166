//! The status of a batch in one sentence.

use client::documents::Counts;
use domain::{AttentionCode, Batch, End, Stage, WaitingCode};

use super::HeldMessages;
use crate::problem::sentence as as_sentence;

/// A number of messages, such as "6 messages".
pub(super) fn messages(n: i64) -> String {
    if n == 1 { "1 message".to_owned() } else { format!("{n} messages") }
}

/// The status in a sentence: what is ready, what is running, what failed, and what needs attention.
pub(super) fn sentence(batch: &Batch, counts: &Counts, held: Option<HeldMessages>) -> String {
    let mut parts = vec![standing(batch, counts)];
    parts.extend(held.map(|held| {
        let verb = if held.messages == 1 { "waits" } else { "wait" };
        format!("{} {verb} for the event bus, which is unavailable", messages(held.messages))
    }));
    parts.extend(failures(batch, counts));
    if batch.paused && !batch.is_ended() {
        parts.push("paused, no further phase starts until it is resumed".to_owned());
    }
    parts.extend(batch.attention.map(|attention| attention_of(attention.code).to_owned()));
    as_sentence(&parts.join("; "))
}

fn standing(batch: &Batch, counts: &Counts) -> String {
    let total = counts.total;
    match &batch.stage {
        Stage::Storing { .. } => storing(batch, total),
        Stage::Registering => {
            format!("{} stored; waiting for the registration at the lifecycle service", essays(batch.stored))
        }
        Stage::Ready if batch.plan.is_empty() => {
            format!("{} ready; no phase was requested yet", essays(counts.waiting))
        }
        Stage::Ready => format!("{} waiting for the next phase", essays(counts.waiting)),
        Stage::Running(running) => {
            let open = counts.in_progress;
            let phase = running.phase;
            let end = if running.cancelling { "; cancelled, the batch ends with this phase" } else { "" };
            let work = match (open, batch.waiting_on.as_ref().map(|waiting| waiting.code)) {
                (0, _) | (_, Some(WaitingCode::Outcome)) => format!("waiting for the outcome of {phase}"),
                (_, Some(WaitingCode::Registration)) => {
                    format!("waiting for the registration at the lifecycle service, then {phase} starts")
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
        Some(WaitingCode::ContentRefuses) => format!("{what}; the Content Service refuses texts just now"),
        Some(WaitingCode::Close) => format!("{what}; more essays may follow until the batch is closed"),
        _ => what,
    }
}

/// The failed essays by cause, such as "1 essay failed spellcheck".
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
        AttentionCode::NoSignOfLife => {
            "the running phase has reported nothing for too long, check the service that runs it"
        }
        AttentionCode::StorageOverdue => {
            "the Content Service has not stored the texts for too long, check it"
        }
        AttentionCode::RegistrationOverdue => {
            "the lifecycle service has not confirmed the registration in time, check it"
        }
        AttentionCode::RegistrationTimeout => "the lifecycle service never confirmed the registration",
        AttentionCode::OutcomeOverdue => {
            "the lifecycle service has not reported the end of the phase in its time, check it; the batch waits for it"
        }
    }
}

fn essays(n: u32) -> String {
    if n == 1 { "1 essay".to_owned() } else { format!("{n} essays") }
}

fn were(n: u32) -> String {
    if n == 1 { "1 essay was".to_owned() } else { format!("{n} essays were") }
}
