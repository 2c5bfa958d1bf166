//! Compares the topics with the database from outside the service, for `bos audit` and the chaos tests.
//!
//! [`Audit`] gets every record and every row once, in any number of pages. It keeps a few dozen bytes of each event: ids and
//! hashes, never bodies. Its findings are a pure function of what it got. It evaluates some of the [`invariants`], which
//! `docs/reliability.md` lists.

pub mod compare;
mod order;
mod said;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use contract::Topic;
use invariants::{Evaluation, Finding, Invariant};
use kafka::scan::{Partition, Record};
use sha2::{Digest as _, Sha256};
use store::{CommittedRow, DeadLetterPosition};
use uuid::Uuid;

use said::{Heard, Said};

/// The violations of one invariant that are kept; further ones are only counted. Chosen.
const KEPT: usize = 100;

/// The time frame and tolerances of a comparison.
#[derive(Debug, Clone)]
pub struct AuditWindow {
    /// The offsets that the service's consumer group had committed before the topics were read: the next record of each partition.
    pub positions: BTreeMap<Partition, i64>,
    /// Records and rows from before this time were not read, or may be deleted; `None`: everything was read.
    pub since: Option<DateTime<Utc>>,
    /// When reading began: messages sent after this may be missing in what was read.
    pub until: DateTime<Utc>,
    /// Messages committed at or before this time must have been sent.
    pub patience: DateTime<Utc>,
    /// How much the clocks of the writers may differ, in milliseconds.
    pub skew_ms: i64,
}

/// The result for one invariant so far.
#[derive(Debug, Default)]
struct Count {
    checked: usize,
    /// The first violations, as location and description.
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

/// A comparison in progress: add all records, then all rows, then [`finish`](Audit::finish).
#[derive(Debug)]
pub struct Audit {
    window: AuditWindow,
    /// The service's own events, by event id.
    said: HashMap<Uuid, Said>,
    /// The partition of each key, by topic and hash of the key.
    keys: HashMap<(Topic, u64), i64>,
    /// The event that commands a phase of an essay, by essay, phase, attempt and resend.
    asked: HashMap<(Uuid, &'static str, i64, i64), Uuid>,
    /// Records below the group's offset that must have left a row, by event id.
    heard: HashMap<Uuid, Vec<Heard>>,
    /// Records below the group's offset that name contradictory batches, which must have left a dead letter.
    contradictions: Vec<Heard>,
    /// Positions of unreadable records below the group's offset, which must have left a dead letter.
    unreadable: HashSet<DeadLetterPosition>,
    /// Positions of all dead letters.
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
    /// A comparison without records and rows.
    pub fn new(window: AuditWindow) -> Self {
        Self {
            window,
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

    /// Adds a batch of the database.
    pub fn batch(&mut self, id: Uuid) {
        self.batches.insert(id);
    }

    /// Adds an event id of the inbox.
    pub fn applied(&mut self, event: Uuid) {
        self.heard.remove(&event);
    }

    /// Adds the position of a dead letter.
    pub fn set_aside(&mut self, place: DeadLetterPosition) {
        self.unreadable.remove(&place);
        self.aside.insert(place);
    }

    /// Adds a committed message. Add first the waiting ones, then the sent ones: a message that is sent in between is then added
    /// twice and never missed.
    pub fn committed(&mut self, row: &CommittedRow) {
        if row.parked {
            self.waiting.violated(|| {
                (
                    event(row.event_id),
                    format!("it is parked and blocks the ordering key {}", row.ordering_key),
                )
            });
        } else if row.sent_at.is_none() && row.created_at <= self.window.patience {
            self.waiting.violated(|| {
                (event(row.event_id), format!("it has waited in the outbox since {}", row.created_at))
            });
        }
        self.waiting.checked += 1;
        let Some(said) = self.said.get_mut(&row.event_id) else {
            let is_covered = self.window.since.is_none_or(|since| row.created_at >= since)
                && row.sent_at.is_some_and(|sent_at| sent_at < self.window.until);
            if is_covered {
                self.committed.violated(|| {
                    (
                        event(row.event_id),
                        format!("the database says it was sent, but {} does not contain it", row.topic),
                    )
                });
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
                (event(row.event_id), format!("the bytes on {topic} differ from the committed ones"))
            });
        }
    }

    /// How much was compared so far.
    pub fn figures(&self) -> Figures {
        Figures {
            events: self.said.len(),
            duplicates: self.duplicates,
            records: self.records,
            batches: self.batches.len(),
            set_aside: self.aside.len(),
        }
    }

    /// Evaluates the invariants.
    pub fn finish(mut self) -> Vec<Evaluation> {
        self.committed.checked += self.said.len();
        for (id, said) in self.said.iter().filter(|(_, said)| !said.committed) {
            let location = format!("{} at {}", event(*id), place(said.partition, said.offset));
            self.committed.violated(|| (location, "the database has no such message".to_owned()));
        }
        order::check(&self.said, self.window.skew_ms, &mut self.ordered);
        for heard in self.heard.values().flatten().chain(&self.contradictions) {
            let is_ours = self.batches.contains(&heard.batch);
            if is_ours && !self.aside.contains(&heard.place()) {
                self.applied.violated(|| {
                    let what = format!(
                        "the group's offset has passed it, but it is neither in the inbox nor a dead letter (batch {})",
                        heard.batch
                    );
                    (place(heard.partition, heard.offset), what)
                });
            }
        }
        for (topic, partition, offset) in &self.unreadable {
            self.applied.violated(|| {
                let location = format!("{topic}, partition {partition}, offset {offset}");
                (
                    location,
                    "the group's offset has passed this unreadable record, but it is not a dead letter"
                        .to_owned(),
                )
            });
        }
        vec![
            self.once.evaluation(Invariant::I2, "essay phases commanded"),
            self.same.evaluation(Invariant::I4, "own records"),
            self.ordered.evaluation(Invariant::I5, "own events"),
            self.committed.evaluation(Invariant::I6, "own events"),
            self.applied.evaluation(Invariant::I9, "records below the group's offsets"),
            self.waiting.evaluation(Invariant::I10, "messages"),
        ]
    }
}

/// How much was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Different events of the service.
    pub events: usize,
    /// Further records of these events on their topics.
    pub duplicates: usize,
    /// Records of all services.
    pub records: usize,
    /// Batches in the database.
    pub batches: usize,
    /// Dead letters in the database.
    pub set_aside: usize,
}

/// The location of a finding at an event.
fn event(id: Uuid) -> String {
    format!("event {id}")
}

/// The location of a finding at a record.
fn place((topic, partition): Partition, offset: i64) -> String {
    format!("{topic}, partition {partition}, offset {offset}")
}

/// A hash of what must be the same in every record of an event.
fn digest(topic: &str, key: &[u8], value: &[u8]) -> u128 {
    let mut hash = Sha256::new();
    for part in [topic.as_bytes(), key, value] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).fold(0, |digest, byte| digest << 8 | u128::from(*byte))
}

/// A short hash of a key, to save memory.
fn short(bytes: &[u8]) -> u64 {
    Sha256::digest(bytes).iter().take(8).fold(0, |short, byte| short << 8 | u64::from(*byte))
}
