//! Checks what was sent and what still waits: I2, I4, I6, I10.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Facts, Judged, Violation, grouped};
use crate::{database::Event, history::Op};

const SPELLCHECK: &str = "spellcheck";
const NLP: &str = "nlp";

/// Evaluates I2.
pub(super) fn ask_once(facts: &Facts<'_>) -> Judged {
    let mut asked: BTreeMap<(Uuid, &str, i64, i64), BTreeSet<Uuid>> = BTreeMap::new();
    for event in ours(facts) {
        let Some((phase, attempt)) = event.phase().zip(event.attempt) else { continue };
        for essay in &event.essays {
            asked.entry((*essay, phase, attempt, event.resend)).or_default().insert(event.id);
        }
    }
    let spellchecked: BTreeSet<Uuid> = facts
        .evidence
        .database
        .results
        .iter()
        .filter(|result| result.phase == SPELLCHECK && result.succeeded)
        .map(|result| result.essay)
        .collect();
    // A batch that was never confirmed fails before any phase is requested.
    let begun = |batch: &Uuid| facts.batches.get(batch).is_none_or(|batch| !batch.failed);
    let wanted: Vec<(Uuid, &str)> = facts
        .acknowledged()
        .flat_map(|(submission, id)| {
            let essays = facts.batch_of(id).filter(begun).and_then(|batch| facts.essays_of.get(&batch));
            let essays = essays.into_iter().flatten().map(|essay| essay.id);
            let is_class = submission.op == Op::SubmitClass;
            essays.flat_map(move |essay| {
                [(essay, SPELLCHECK)].into_iter().chain(is_class.then_some((essay, NLP)))
            })
        })
        .filter(|(essay, phase)| *phase == SPELLCHECK || spellchecked.contains(essay))
        .collect();
    let missing = wanted.iter().filter(|(essay, phase)| !asked.contains_key(&(*essay, phase, 1, 0)));
    let missing: Vec<_> = missing
        .map(|(essay, phase)| Violation::new(format!("essay {essay}"), format!("no event asks for {phase}")))
        .collect();
    Judged::each("essays × phases", &asked, |((essay, phase, attempt, resend), ids)| {
        let what = || format!("{} events ask for {phase}, attempt {attempt}, resend {resend}", ids.len());
        (ids.len() != 1).then(|| Violation::new(format!("essay {essay}"), what()))
    })
    .and(missing)
}

/// Evaluates I4, for the orchestrator's own events: a companion that repeats its work measures other
/// durations.
pub(super) fn are_the_same_under_an_id(facts: &Facts<'_>) -> Judged {
    let by_id = grouped(ours(facts).map(|event| (event.id, event)));
    Judged::each("event ids of ours", by_id, |(id, events)| {
        let address = |event: &Event| (event.topic.clone(), event.key.clone(), event.partition);
        let differs = |event: &&Event| {
            let first = events.first();
            first.is_some_and(|first| address(first) != address(event) || first.value != event.value)
        };
        let other = events.iter().copied().find(differs)?;
        let what = format!("it is again on {} with another key, partition or bytes", other.topic);
        Some(Violation::new(format!("event {id}"), what))
    })
}

/// Evaluates I6. On the embedded bus the log is the only archive, so the evidence is the number that each
/// message got in its transaction: the numbers of a batch, on the bus and in the outbox, are exactly those
/// that it has assigned, each once.
pub(super) fn are_the_committed_ones(facts: &Facts<'_>) -> Judged {
    let mut numbers: BTreeMap<Uuid, BTreeMap<i64, BTreeSet<Uuid>>> = BTreeMap::new();
    let mut strange = Vec::new();
    for event in ours(facts) {
        let batch = event.key.parse().ok().and_then(|id| facts.batch_of(id));
        match batch.zip(event.key_seq) {
            Some((batch, number)) => {
                numbers.entry(batch).or_default().entry(number).or_default().insert(event.id);
            }
            None => {
                strange.push(Violation::new(format!("event {}", event.id), "it is of no batch that exists"));
            }
        }
    }
    let waiting = facts.evidence.database.outbox.len();
    Judged::each("batches", facts.batches.values(), |batch| {
        let violation = |what| Violation::new(format!("batch {}", batch.id), what);
        let found = numbers.get(&batch.id).cloned().unwrap_or_default();
        if let Some((number, ids)) = found.iter().find(|(_, ids)| ids.len() > 1) {
            return Some(violation(format!("{} events have the number {number}", ids.len())));
        }
        if let Some((number, _)) = found.iter().find(|(number, _)| !(1..batch.next_key_seq).contains(*number))
        {
            return Some(violation(format!("an event has the number {number}, which was never assigned")));
        }
        let missing = (1..batch.next_key_seq).find(|number| !found.contains_key(number));
        let missing = missing.filter(|_| waiting == 0)?;
        Some(violation(format!("the event number {missing} was committed and is not on its topic")))
    })
    .and(strange)
}

/// Evaluates I10.
pub(super) fn do_not_wait(facts: &Facts<'_>) -> Judged {
    let database = facts.evidence.database;
    let parked = database.outbox.iter().filter(|(_, parked)| *parked).count();
    let poison = facts.evidence.poison;
    let expected = [
        ("messages wait in the outbox", database.outbox.len() - parked, 0),
        ("messages are parked", parked, 0),
        ("texts are staged", database.staged_texts, 0),
        ("dead letters", database.dead_letters, poison),
    ];
    let wrong = expected.iter().filter(|(_, found, wanted)| found != wanted);
    Judged {
        checked: ours(facts).count() + database.dead_letters,
        unit: "events of ours, dead letters",
        violations: wrong
            .map(|(what, found, wanted)| Violation::new("database", format!("{found} {what}, not {wanted}")))
            .collect(),
    }
}

fn ours<'e>(facts: &Facts<'e>) -> impl Iterator<Item = &'e Event> {
    facts.evidence.database.log.iter().filter(|event| event.ours)
}
