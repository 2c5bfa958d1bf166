//! Checks of sent and consumed events: I2, I4, I5, I6, I9, S1.

use std::collections::BTreeSet;

use anyhow::Result;
use contract::{NeighbourBody, PhaseName};
use engine::ports::Record;
use invariants::Invariant;
use uuid::Uuid;

use super::Check;
use crate::bus::{About, Bus, TopicPartition};

/// The first occurrence of an event of ours.
#[derive(Debug)]
pub(super) struct Event {
    value: Vec<u8>,
    key: String,
    partition: TopicPartition,
}

impl Check {
    /// Checks new records of ours, and the records up to newly committed offsets. True when there were new records.
    pub(super) fn check_events(&mut self, bus: &Bus) -> Result<bool> {
        let new = bus.since(self.seen);
        self.seen += new.len();
        let is_changed = !new.is_empty();
        for (partition, _, entry) in new {
            if entry.about == About::Ours {
                self.check_own_record(partition, &entry.record)?;
            }
        }
        for (partition, end) in bus.highest_committed() {
            let begin = self.highest_committed.insert(partition, end).unwrap_or_default();
            for offset in begin..end {
                self.check_consumed(bus, partition, offset)?;
            }
        }
        Ok(is_changed)
    }

    /// Checks that one message of an ordering key is in flight at a time. Two processes that work on one shard may send the
    /// same message, and one of them may send again what the other has put on the bus; so messages that are already on the bus
    /// do not count, and neither do copies.
    pub(super) fn check_in_flight(&mut self, bus: &Bus) -> Result<()> {
        let mut keys = BTreeSet::new();
        let mut in_flight = bus.in_flight_events();
        if self.is_shared {
            in_flight.retain(|event| !self.events.contains_key(event));
            in_flight.sort_unstable();
            in_flight.dedup();
        }
        for event in in_flight {
            let Some(committed) = self.database.committed(event)? else { continue };
            let key = committed.ordering_key;
            let is_alone = keys.insert(key.clone());
            self.findings.check(Invariant::S1, is_alone, || {
                (format!("ordering key {key}"), "two of its messages are in flight".to_owned())
            });
        }
        Ok(())
    }

    fn check_own_record(&mut self, partition: TopicPartition, record: &Record) -> Result<()> {
        let id = record.event_id;
        let location = || format!("event {id} on {}", partition.0);
        let committed = self.database.committed(id)?;
        self.findings
            .check(Invariant::I6, committed.is_some(), || (location(), "it was never committed".to_owned()));
        let Some(committed) = committed else { return Ok(()) };
        let is_same = committed.payload == record.value && committed.kafka_key == record.key;
        self.findings.check(Invariant::I4, is_same, || {
            (location(), "it has another key or other bytes than committed".to_owned())
        });
        let first = *self.partitions.entry((record.topic, record.key.clone())).or_insert(partition.1);
        self.findings.check(Invariant::I5, first == partition.1, || {
            (location(), format!("its key is on the partitions {first} and {}", partition.1))
        });
        if let Some(first) = self.events.get(&id) {
            let is_same =
                (&first.value, &first.key, first.partition) == (&record.value, &record.key, partition);
            self.findings.check(Invariant::I4, is_same, || {
                (location(), "another record of it has other bytes, key or partition".to_owned())
            });
            return Ok(());
        }
        self.events.insert(id, Event { value: record.value.clone(), key: record.key.clone(), partition });

        let number = committed.key_seq;
        let before = self.order.insert(committed.ordering_key.clone(), number);
        self.findings.check(Invariant::I5, before.is_none_or(|before| before < number), || {
            (
                format!("ordering key {}", committed.ordering_key),
                format!("number {number} came after {before:?}"),
            )
        });
        let batch = crate::peers::batch_of(&record.key);
        let other = self.numbers.insert((batch, number), id).filter(|other| *other != id);
        self.findings.check(Invariant::I6, other.is_none(), || {
            (format!("batch {batch}"), format!("two of its events have the number {number}"))
        });
        self.check_requests(record);
        Ok(())
    }

    /// Checks that each task which a command or a request asks for is asked for by one event, or by that event sent again.
    fn check_requests(&mut self, record: &Record) {
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
        let attempt = crate::peers::attempt(record);
        if is_resend(record, &essays, phase, attempt) {
            return;
        }
        for essay in essays {
            let other = self.requests.insert((essay, phase, attempt), record.event_id);
            let other = other.filter(|other| *other != record.event_id);
            self.findings.check(Invariant::I2, other.is_none(), || {
                (format!("essay {essay}"), format!("two events ask for {phase}, attempt {attempt}"))
            });
        }
    }

    /// Checks that a record below a committed offset has left its row.
    fn check_consumed(&mut self, bus: &Bus, partition: TopicPartition, offset: usize) -> Result<()> {
        let Some(entry) = bus.entry(partition, offset) else { return Ok(()) };
        let event = entry.record.event_id;
        let holds = match entry.about {
            About::Ours | About::Foreign => return Ok(()),
            About::Batch(batch) => {
                self.database.is_in_inbox(batch, event)? || self.database.is_dead_letter(partition, offset)?
            }
            About::Poison => {
                self.poison += 1;
                self.database.is_dead_letter(partition, offset)?
            }
        };
        self.findings.check(Invariant::I9, holds, || {
            let (topic, partition) = partition;
            let location = format!("{topic}, partition {partition}, offset {offset} (event {event})");
            (location, "it is below the committed offset and has no row in the database".to_owned())
        });
        Ok(())
    }
}

/// Whether the event id is the one that is derived for a command or a request that is sent again.
fn is_resend(record: &Record, essays: &[Uuid], phase: PhaseName, attempt: u32) -> bool {
    const RUNS: u32 = 20;
    let limit = domain::Settings::default().command_resends;
    let aggregate = if record.topic == contract::Topic::EssaySpellcheckRequested {
        essays.first().copied().unwrap_or_default()
    } else {
        crate::peers::batch_of(&record.key)
    };
    let (topic, aggregate) = (record.topic.as_str(), aggregate.to_string());
    let phase = phase.as_str().parse().ok();
    let id = |run, resend| {
        domain::event_id(topic, &aggregate, run, phase, Some(attempt), &format!("resend {resend}"))
    };
    (1..=RUNS).any(|run| (1..=limit).any(|resend| id(run, resend) == record.event_id))
}
