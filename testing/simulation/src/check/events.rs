//! What goes out and what comes in: I2, I4, I5, I6, I9.

use std::collections::BTreeSet;

use anyhow::Result;
use contract::{NeighbourBody, PhaseName};
use engine::ports::Record;
use uuid::Uuid;

use super::{Check, Invariant};
use crate::bus::{About, Bus, Place};

/// An event of ours as it came first.
#[derive(Debug)]
pub(super) struct Event {
    value: Vec<u8>,
    key: String,
    place: Place,
}

impl Check {
    /// Looks at new records of ours, and at the places that the engine has committed. True when there were any.
    pub(super) fn look_at_events(&mut self, bus: &Bus) -> Result<bool> {
        let news = bus.since(self.seen);
        self.seen += news.len();
        let is_changed = !news.is_empty();
        for (place, _, entry) in news {
            if entry.about == About::Ours {
                self.look_at_ours(place, &entry.record)?;
            }
        }
        for (place, end) in bus.dealt_with() {
            let begin = self.dealt_with.insert(place, end).unwrap_or_default();
            for at in begin..end {
                self.look_at_read(bus, place, at)?;
            }
        }
        Ok(is_changed)
    }

    /// One message of a key is under way at a time. Two processes that work one shard may send the same one, and one of them again
    /// what the other has brought onto the bus: of those that are not there yet, one is under way at a time.
    pub(super) fn look_at_flights(&mut self, bus: &Bus) -> Result<()> {
        let mut keys = BTreeSet::new();
        let mut under_way = bus.in_flight();
        if self.is_shared {
            under_way.retain(|event| !self.events.contains_key(event));
            under_way.sort_unstable();
            under_way.dedup();
        }
        for event in under_way {
            let Some(committed) = self.eye.committed(event)? else { continue };
            let key = committed.ordering_key;
            let is_alone = keys.insert(key.clone());
            self.findings.hold(Invariant::I5, is_alone, || format!("two messages of {key} are under way"));
        }
        Ok(())
    }

    fn look_at_ours(&mut self, place: Place, record: &Record) -> Result<()> {
        let id = record.event_id;
        let committed = self.eye.committed(id)?;
        self.findings
            .hold(Invariant::I6, committed.is_some(), || format!("{id} on {} was never committed", place.0));
        let Some(committed) = committed else { return Ok(()) };
        let is_same = committed.payload == record.value && committed.kafka_key == record.key;
        self.findings
            .hold(Invariant::I4, is_same, || format!("{id} is on the bus with other bytes than committed"));
        if let Some(first) = self.events.get(&id) {
            let is_same = (&first.value, &first.key, first.place) == (&record.value, &record.key, place);
            self.findings.hold(Invariant::I4, is_same, || format!("{id} came again and differs"));
            return Ok(());
        }
        self.events.insert(id, Event { value: record.value.clone(), key: record.key.clone(), place });

        let number = committed.key_seq;
        let before = self.order.insert(committed.ordering_key.clone(), number);
        self.findings.hold(Invariant::I5, before.is_none_or(|before| before < number), || {
            format!("number {number} of {} came after {before:?}", committed.ordering_key)
        });
        let batch = crate::neighbours::batch_of(&record.key);
        let other = self.numbers.insert((batch, number), id).filter(|other| *other != id);
        self.findings.hold(Invariant::I6, other.is_none(), || {
            format!("two events of {batch} have the number {number}")
        });
        self.look_at_asked(record);
        Ok(())
    }

    /// The tasks that a command or a request asks for.
    fn look_at_asked(&mut self, record: &Record) {
        let Ok(incoming) = contract::read_neighbour(record.topic, &record.value) else { return };
        let (phase, essays): (PhaseName, Vec<Uuid>) = match incoming.body {
            NeighbourBody::InitiatePhase { phase, essays, .. } => {
                (phase, essays.iter().map(|essay| essay.essay_id).collect())
            }
            NeighbourBody::SpellcheckRequested { essay_id, .. } => (PhaseName::Spellcheck, vec![essay_id]),
            NeighbourBody::EssaysRegistered { .. }
            | NeighbourBody::EssayContentProvisioned { .. }
            | NeighbourBody::NlpRequested { .. }
            | NeighbourBody::NlpAnalysed { .. } => return,
        };
        let attempt = crate::neighbours::attempt(record);
        for essay in essays {
            let other = self.asked.insert((essay, phase, attempt), record.event_id);
            let other = other.filter(|other| *other != record.event_id);
            self.findings.hold(Invariant::I2, other.is_none(), || {
                format!("two events ask for {phase} of {essay}, attempt {attempt}")
            });
        }
    }

    /// What is behind the committed place is in the database.
    fn look_at_read(&mut self, bus: &Bus, place: Place, at: usize) -> Result<()> {
        let Some(entry) = bus.entry(place, at) else { return Ok(()) };
        let event = entry.record.event_id;
        let holds = match entry.about {
            About::Ours | About::Nobody => return Ok(()),
            About::Batch(batch) => self.eye.is_in_inbox(batch, event)? || self.eye.is_set_aside(place, at)?,
            About::Poison => {
                self.poison += 1;
                self.eye.is_set_aside(place, at)?
            }
        };
        self.findings.hold(Invariant::I9, holds, || {
            format!("{event} on {} ({at}) is behind the committed place and not in the database", place.0)
        });
        Ok(())
    }
}
