//! Applies inputs to a batch and renders what happened, line by line.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::decide::{
    Accept, CancelMode, Decision, Effect, Input, LifecycleAnswer, Message, OutcomeStatus, Revive, Timer,
    TimerKind,
};
use crate::{Batch, BatchId, CorrelationId, Kind, Language, Phase, Settings, Slot, Stage, decide};

pub(super) fn midnight() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

pub(super) fn submitted(kind: Kind, essays: u32, open: bool, phases: &[Phase]) -> Input {
    Input::Accept(Accept {
        id: BatchId::new(midnight(), Slot::new(7), 42),
        correlation_id: CorrelationId(Uuid::from_u128(1)),
        kind,
        language: Language::En,
        essays,
        open,
        phases: phases.to_vec(),
    })
}

pub(super) fn class(essays: u32, phases: &[Phase]) -> Input {
    submitted(Kind::Class, essays, false, phases)
}

pub(super) fn single() -> Input {
    submitted(Kind::Single, 1, false, &[])
}

pub(super) fn stored(stored: u32) -> Input {
    Input::TextsStored { stored, refused: 0 }
}

pub(super) fn start(phases: &[Phase]) -> Input {
    Input::Start { phases: phases.to_vec() }
}

pub(super) fn news(phase: Phase, attempt: u32, succeeded: u32, failed: u32) -> Input {
    Input::EssaysReported { phase, attempt, succeeded, failed, stale: 0 }
}

/// An outcome that leaves no essay unnamed.
pub(super) fn outcome(phase: Phase, attempt: u32, succeeded: u32, failed: u32) -> Input {
    partial_outcome(phase, attempt, (succeeded, failed), 0)
}

/// An outcome that leaves essays unnamed.
pub(super) fn partial_outcome(
    phase: Phase,
    attempt: u32,
    (succeeded, failed): (u32, u32),
    unnamed: u32,
) -> Input {
    let status = match (succeeded, failed) {
        (_, 0) => OutcomeStatus::Succeeded,
        (0, _) => OutcomeStatus::FailedCritically,
        _ => OutcomeStatus::WithFailures,
    };
    Input::OutcomeReported { phase, attempt, status, succeeded, failed, unnamed }
}

pub(super) fn timer(kind: TimerKind, run: u32, phase: Option<Phase>, attempt: u32) -> Input {
    Input::DeadlinePassed(Timer { kind, run, phase, attempt })
}

/// A due timer, before which the lifecycle service was asked.
pub(super) fn answered(
    kind: TimerKind,
    phase: Phase,
    (ready, unfinished, finished): (u32, u32, u32),
) -> Input {
    let timer = Timer { kind, run: 1, phase: Some(phase), attempt: 1 };
    Input::LifecycleAnswered { timer, answer: LifecycleAnswer { ready, unfinished, finished } }
}

pub(super) fn cancel(mode: CancelMode) -> Input {
    Input::Cancel { mode }
}

pub(super) fn retry(phase: Phase, essays: u32, downstream: bool) -> Input {
    Input::Retry { phase, essays, downstream }
}

/// The transcript of a batch under the default settings.
pub(super) fn play(inputs: impl IntoIterator<Item = Input>) -> String {
    play_with(&Settings::default(), inputs).1
}

/// The inputs that bring a class to its first phase.
pub(super) fn running(essays: u32, phases: &[Phase]) -> Vec<Input> {
    vec![class(essays, phases), stored(essays), Input::Registered]
}

/// The transcript of `inputs` alone, after the inputs of `before`.
pub(super) fn play_on(before: Vec<Input>, inputs: impl IntoIterator<Item = Input>) -> String {
    let skipped = play(before.clone());
    play(before.into_iter().chain(inputs)).split_off(skipped.len())
}

/// As [`play_on`], with the seconds that pass before each input.
pub(super) fn play_on_at(before: Vec<Input>, inputs: impl IntoIterator<Item = (i64, Input)>) -> String {
    let before: Vec<_> = before.into_iter().map(|input| (1, input)).collect();
    let skipped = play_at(&Settings::default(), before.clone()).1.len();
    play_at(&Settings::default(), before.into_iter().chain(inputs)).1.split_off(skipped)
}

/// The batch after the inputs, one per second, and the transcript. A refused input is noted and changes nothing.
pub(super) fn play_with(
    settings: &Settings,
    inputs: impl IntoIterator<Item = Input>,
) -> (Option<Batch>, String) {
    play_at(settings, inputs.into_iter().map(|input| (1, input)))
}

/// As [`play_with`], with the seconds that pass before each input.
pub(super) fn play_at(
    settings: &Settings,
    inputs: impl IntoIterator<Item = (i64, Input)>,
) -> (Option<Batch>, String) {
    let mut batch: Option<Batch> = None;
    let mut transcript = String::new();
    let mut now = midnight();
    for (seconds, input) in inputs {
        now += TimeDelta::seconds(seconds);
        match decide(batch.clone(), input, now, settings) {
            Err(refusal) => writeln!(transcript, "refused: {refusal}").unwrap(),
            Ok(decision) => {
                render(&mut transcript, &decision, now);
                batch = Some(decision.next);
            }
        }
    }
    (batch, transcript)
}

fn render(transcript: &mut String, decision: &Decision, now: DateTime<Utc>) {
    let Decision { next, effects, reason, changed } = decision;
    writeln!(transcript, "{reason}").unwrap();
    for line in effects.iter().filter_map(|effect| effect_line(effect, now)) {
        writeln!(transcript, "    {line}").unwrap();
    }
    if !changed {
        return;
    }
    writeln!(transcript, "  = {}", describe(next)).unwrap();
}

fn effect_line(effect: &Effect, now: DateTime<Utc>) -> Option<String> {
    Some(match effect {
        Effect::Send(Message::SpellcheckRequests { attempt, resend }) => {
            format!("send spellcheck requests #{attempt}{}", again(*resend))
        }
        Effect::Send(Message::Registration) => "send registration".to_owned(),
        Effect::Send(Message::Command { phase, attempt, resend }) => {
            format!("send command {phase}#{attempt}{}", again(*resend))
        }
        Effect::Send(Message::PipelineCompleted { run }) => format!("send pipeline completed, run {run}"),
        Effect::SetTimer { timer, at } => {
            let about = timer.phase.map_or_else(String::new, |phase| format!(" {phase}"));
            format!("timer {}{about}#{} in {} s", timer.kind, timer.attempt, (*at - now).num_seconds())
        }
        Effect::ClearTimer(kind) => format!("clear timer {kind}"),
        Effect::ClearTimers => "clear timers".to_owned(),
        Effect::OpenEssays { phase, attempt } => format!("open essays {phase}#{attempt}"),
        Effect::FailOpenEssays { phase, attempt, code } => {
            format!("fail open essays {phase}#{attempt}: {code}")
        }
        Effect::CancelEssays => "cancel essays".to_owned(),
        Effect::SkipEssays => "skip essays".to_owned(),
        Effect::ReviveEssays(Revive::Succeeded) => "revive essays that succeeded".to_owned(),
        Effect::ReviveEssays(Revive::FailedIn(phase)) => format!("revive essays that failed in {phase}"),
        Effect::DropStagedTexts => "drop staged texts".to_owned(),
        Effect::Note(_) => return None,
    })
}

fn again(resend: u32) -> String {
    if resend == 0 { String::new() } else { format!(", resend {resend}") }
}

/// One line: status, waiting code, attention, counts, phases.
pub(super) fn describe(batch: &Batch) -> String {
    let mut line = batch.status().to_string();
    if let Some(waiting_on) = &batch.waiting_on {
        write!(line, ", waits for {}", waiting_on.code).unwrap();
        if let Some(essays) = waiting_on.essays {
            write!(line, " of {essays}").unwrap();
        }
        if waiting_on.resends > 0 {
            write!(line, " after {} resends", waiting_on.resends).unwrap();
        }
    }
    if let Some(attention) = batch.attention {
        write!(line, ", look: {}", attention.code).unwrap();
    }
    let open = match &batch.stage {
        Stage::Running(running) => running.open,
        Stage::Storing { .. } | Stage::Registering | Stage::Ready | Stage::Ended { .. } => 0,
    };
    write!(
        line,
        " | {} waiting, {open} open, {} ok, {} failed",
        batch.waiting, batch.succeeded, batch.failed
    )
    .unwrap();
    for record in &batch.phases {
        write!(line, " | {}#{} {}", record.phase, record.attempt, record.status).unwrap();
        if record.total > 0 {
            write!(line, " {}+{}/{}", record.succeeded, record.failed, record.total).unwrap();
        }
        if record.outcome_missing {
            line.push_str(" without outcome");
        }
        if let Some(code) = record.error_code {
            write!(line, " ({code})").unwrap();
        }
    }
    line
}
