//! What the topics and the database say about each other, seen from outside: for `bos audit`, and for tests that break things.
//!
//! [`Audit`] is told every record and every row once, in any number of pages, and holds a few dozen bytes of each event: ids and
//! hashes, never bodies. What it says is a pure function of what it was told. The invariants are those of
//! [`invariants`], which `docs/reliability.md` prints.

pub mod compare;
mod order;
mod said;
#[cfg(test)]
mod tests;
pub mod topics;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use contract::Topic;
use invariants::{Evaluation, Finding, Invariant};
use sha2::{Digest as _, Sha256};
use store::{CommittedRow, DeadLetterPosition};
use uuid::Uuid;

use said::{Heard, Said};

/// Violations of one invariant that are kept; more are counted.
const KEPT: usize = 100;

/// A partition of a topic.
pub type Partition = (Topic, i64);

/// A record, where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: i64,
    /// The place in the partition.
    pub offset: i64,
    /// When it was handed to the writer's client, in milliseconds of the writer's clock.
    pub at_ms: i64,
    /// The key; empty for none.
    pub key: Vec<u8>,
    /// The value; empty for none.
    pub value: Vec<u8>,
    /// The headers that are text.
    pub headers: Vec<(String, String)>,
}

impl Record {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }
}

/// What is expected of the evidence.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The next offsets that our consumer group had committed before anything was read.
    pub positions: BTreeMap<Partition, i64>,
    /// Records and rows from before this were not read, or may be gone; none: everything is there.
    pub since: Option<DateTime<Utc>>,
    /// When reading began: what was sent after this may not have been read.
    pub until: DateTime<Utc>,
    /// Messages that wait since before this wait for too long; none: no message may wait.
    pub patience: DateTime<Utc>,
    /// By how much the clocks of writers may differ, in milliseconds.
    pub skew_ms: i64,
}

/// How one invariant fares so far.
#[derive(Debug, Default)]
struct Count {
    checked: usize,
    /// The first violations: where, and what.
    violations: Vec<(String, String)>,
    violated: usize,
}

impl Count {
    fn violated(&mut self, what: impl FnOnce() -> (String, String)) {
        self.violated += 1;
        if self.violations.len() < KEPT {
            self.violations.push(what());
        }
    }

    fn evaluation(self, invariant: Invariant, unit: &'static str) -> Evaluation {
        let Self { checked, violations, violated } = self;
        let findings = violations.into_iter().map(|(location, what)| Finding::new(invariant, location, what));
        Evaluation { invariant, checked, unit, findings: findings.collect(), violations: violated }
    }
}

/// A comparison that is under way.
#[derive(Debug)]
pub struct Audit {
    terms: Terms,
    /// Our events by their ids.
    said: HashMap<Uuid, Said>,
    /// Where keys lie: topic and hash of the key, partition.
    keys: HashMap<(Topic, u64), i64>,
    /// Which event asks for an essay's phase: essay, phase, attempt.
    asked: HashMap<(Uuid, &'static str, i64), Uuid>,
    /// Records that our group is past and that must have left a row, by their event ids.
    heard: HashMap<Uuid, Vec<Heard>>,
    /// Records that our group is past and that contradict themselves about a batch.
    contradictions: Vec<Heard>,
    /// Places that must have left a dead letter.
    unreadable: HashSet<DeadLetterPosition>,
    /// What was found set aside.
    aside: HashSet<DeadLetterPosition>,
    batches: HashSet<Uuid>,
    once: Count,
    same: Count,
    ordered: Count,
    committed: Count,
    applied: Count,
    waiting: Count,
    records: usize,
    duplicates: usize,
}

impl Audit {
    /// Nothing was told yet.
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            said: HashMap::new(),
            keys: HashMap::new(),
            asked: HashMap::new(),
            heard: HashMap::new(),
            contradictions: Vec::new(),
            unreadable: HashSet::new(),
            aside: HashSet::new(),
            batches: HashSet::new(),
            once: Count::default(),
            same: Count::default(),
            ordered: Count::default(),
            committed: Count::default(),
            applied: Count::default(),
            waiting: Count::default(),
            records: 0,
            duplicates: 0,
        }
    }

    /// Takes a batch of the database.
    pub fn batch(&mut self, id: Uuid) {
        self.batches.insert(id);
    }

    /// Takes an event id of the inbox.
    pub fn applied(&mut self, event: Uuid) {
        self.heard.remove(&event);
    }

    /// Takes the place of a dead letter.
    pub fn set_aside(&mut self, place: DeadLetterPosition) {
        self.unreadable.remove(&place);
        self.aside.insert(place);
    }

    /// Takes a message that was committed. First those that wait, then those that were sent: one on its way between the two is
    /// told twice and never missed.
    pub fn committed(&mut self, row: &CommittedRow) {
        if row.parked {
            self.waiting.violated(|| {
                (event(row.event_id), format!("it is parked and blocks the key {}", row.ordering_key))
            });
        } else if row.sent_at.is_none() && row.created_at <= self.terms.patience {
            self.waiting.violated(|| {
                (event(row.event_id), format!("it has waited in the outbox since {}", row.created_at))
            });
        }
        self.waiting.checked += 1;
        let Some(said) = self.said.get_mut(&row.event_id) else {
            let is_covered = self.terms.since.is_none_or(|since| row.created_at >= since)
                && row.sent_at.is_some_and(|sent_at| sent_at < self.terms.until);
            if is_covered {
                self.committed
                    .violated(|| (event(row.event_id), format!("it was sent and is not on {}", row.topic)));
            }
            return;
        };
        said.committed = true;
        said.ordering_key = Some(short(row.ordering_key.as_bytes()));
        if said.digest != digest(&row.topic, row.kafka_key.as_bytes(), &row.payload)
            || said.key_seq != row.key_seq
        {
            let topic = &row.topic;
            self.same.violated(|| {
                (event(row.event_id), format!("it was committed with other bytes than {topic} has"))
            });
        }
    }

    /// Our events that were read, duplicates left out; how often one lay there once more; records of everybody; batches.
    pub fn figures(&self) -> Figures {
        Figures {
            events: self.said.len(),
            duplicates: self.duplicates,
            records: self.records,
            batches: self.batches.len(),
            set_aside: self.aside.len(),
        }
    }

    /// What all of it says.
    pub fn finish(mut self) -> Vec<Evaluation> {
        self.committed.checked += self.said.len();
        for (id, said) in self.said.iter().filter(|(_, said)| !said.committed) {
            let location = format!("{} at {}", event(*id), place(said.partition, said.offset));
            self.committed.violated(|| (location, "it was never committed".to_owned()));
        }
        order::check(&self.said, self.terms.skew_ms, &mut self.ordered);
        for heard in self.heard.values().flatten().chain(&self.contradictions) {
            let is_ours = self.batches.contains(&heard.batch);
            if is_ours && !self.aside.contains(&heard.place()) {
                self.applied.violated(|| {
                    let what = format!(
                        "the group has passed it, and it is neither in the inbox nor a dead letter (batch {})",
                        heard.batch
                    );
                    (place(heard.partition, heard.offset), what)
                });
            }
        }
        for (topic, partition, offset) in &self.unreadable {
            self.applied.violated(|| {
                let location = format!("{topic}, partition {partition}, offset {offset}");
                (location, "the group has passed this unreadable record, and it is no dead letter".to_owned())
            });
        }
        vec![
            self.once.evaluation(Invariant::I2, "essays × phases"),
            self.same.evaluation(Invariant::I4, "records of ours"),
            self.ordered.evaluation(Invariant::I5, "events of ours"),
            self.committed.evaluation(Invariant::I6, "events of ours"),
            self.applied.evaluation(Invariant::I9, "records below its positions"),
            self.waiting.evaluation(Invariant::I10, "messages"),
        ]
    }
}

/// How much was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Events of ours.
    pub events: usize,
    /// How often one of them lies on its topic once more.
    pub duplicates: usize,
    /// Records of everybody.
    pub records: usize,
    /// Batches in the database.
    pub batches: usize,
    /// Messages set aside.
    pub set_aside: usize,
}

/// Names an event as the location of a finding.
fn event(id: Uuid) -> String {
    format!("event {id}")
}

/// Names the place of a record as the location of a finding.
fn place((topic, partition): Partition, offset: i64) -> String {
    format!("{topic}, partition {partition}, offset {offset}")
}

/// What is the same whenever an event is sent.
fn digest(topic: &str, key: &[u8], value: &[u8]) -> u128 {
    let mut hash = Sha256::new();
    for part in [topic.as_bytes(), key, value] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).fold(0, |digest, byte| digest << 8 | u128::from(*byte))
}

/// A short name for a key.
fn short(bytes: &[u8]) -> u64 {
    Sha256::digest(bytes).iter().take(8).fold(0, |short, byte| short << 8 | u64::from(*byte))
}
