//! The checker: evaluates the invariants after every turn, and once more when everything has ended.
//!
//! It reads the bus, and the database through a connection of its own that no injected fault affects. The counts that callers
//! see it reads through the store, as callers do. It remembers what it has seen, so a turn costs what that turn has changed.

mod database_view;
mod end_state;
mod events;
mod parked;
mod states;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use domain::BatchId;
use invariants::{Finding, Invariant};
use store::Store;
use uuid::Uuid;

use crate::bus::{Bus, TopicPartition};
use crate::client::Client;
use crate::observed::ObservedBatch;
use crate::peers::{Peers, Task};
use database_view::DatabaseView;
pub use end_state::EndState;
use events::Event;

/// The invariants that are evaluated here, each with the unit in which its evaluations are counted.
pub const EVALUATED: [(Invariant, &str); 16] = [
    (Invariant::I1, "reads of acknowledged batches"),
    (Invariant::I2, "essays × phases × attempts"),
    (Invariant::I3, "batches"),
    (Invariant::I4, "records of ours"),
    (Invariant::I5, "records of ours"),
    (Invariant::I6, "records of ours"),
    (Invariant::I7, "revisions"),
    (Invariant::I8, "batches"),
    (Invariant::I9, "records read"),
    (Invariant::I10, "queues"),
    (Invariant::I11, "keys"),
    (Invariant::S1, "messages in flight"),
    (Invariant::S2, "records read by peers"),
    (Invariant::S3, "reads of parked messages"),
    (Invariant::S4, "turns"),
    (Invariant::S5, "essays × phases"),
];

/// What the evaluations of a run have found so far.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    checked: BTreeMap<Invariant, u64>,
    /// Every violation, in the order of discovery.
    pub violations: Vec<Finding>,
}

impl Findings {
    /// Evaluates an invariant once. When it does not hold, `violation` says where and what is wrong.
    pub fn check(&mut self, invariant: Invariant, holds: bool, violation: impl FnOnce() -> (String, String)) {
        self.count(invariant, 1);
        if !holds {
            let (location, what) = violation();
            self.violations.push(Finding::new(invariant, location, what));
        }
    }

    /// Counts evaluations that found nothing.
    fn count(&mut self, invariant: Invariant, times: u64) {
        *self.checked.entry(invariant).or_default() += times;
    }

    /// How many times an invariant was evaluated.
    pub fn checked(&self, invariant: Invariant) -> u64 {
        self.checked.get(&invariant).copied().unwrap_or_default()
    }

    /// Adds another run's counts, without its violations.
    pub fn add_counts(&mut self, other: &Self) {
        for (invariant, times) in &other.checked {
            self.count(*invariant, *times);
        }
    }
}

/// The checker of one run, with what it has seen so far.
#[derive(Debug)]
pub struct Check {
    /// What it has found so far.
    pub findings: Findings,
    database: DatabaseView,
    /// Number of records on the bus that are already checked.
    seen: usize,
    events: BTreeMap<Uuid, Event>,
    /// For each ordering key, the `key_seq` of its last first occurrence.
    order: BTreeMap<String, i64>,
    /// For each topic and record key, the partition of its records.
    partitions: BTreeMap<(contract::Topic, String), i64>,
    requests: BTreeMap<Task, Uuid>,
    /// The event under each `key_seq` of a batch.
    numbers: BTreeMap<(Uuid, i64), Uuid>,
    highest_committed: BTreeMap<TopicPartition, usize>,
    /// Unreadable records that the engine has consumed.
    poison: u64,
    states: BTreeMap<BatchId, ObservedBatch>,
    /// Messages that are parked.
    parked: usize,
    /// Whether two processes share the database.
    is_shared: bool,
}

impl Check {
    /// A checker of a new database, which two processes share if `is_shared`.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn new(file: &Path, is_shared: bool) -> Result<Self> {
        Ok(Self {
            findings: Findings::default(),
            database: DatabaseView::open(file)?,
            seen: 0,
            events: BTreeMap::new(),
            order: BTreeMap::new(),
            partitions: BTreeMap::new(),
            requests: BTreeMap::new(),
            numbers: BTreeMap::new(),
            highest_committed: BTreeMap::new(),
            poison: 0,
            states: BTreeMap::new(),
            parked: 0,
            is_shared,
        })
    }

    /// Each batch as it was last read.
    pub fn states(&self) -> impl Iterator<Item = (BatchId, &ObservedBatch)> {
        self.states.iter().map(|(batch, seen)| (*batch, seen))
    }

    /// Checks what the last turn has changed. True when it has changed something.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn check_turn(
        &mut self,
        store: &Store,
        bus: &Bus,
        others: (&mut Peers, &mut Client),
    ) -> Result<bool> {
        let has_new_records = self.check_events(bus)?;
        self.check_in_flight(bus)?;
        let is_changed = self.database.is_changed()?;
        if is_changed {
            self.check_states(store).await?;
            if bus.has_refused() {
                self.check_parked()?;
            }
        }
        let (peers, client) = others;
        self.findings.count(Invariant::S2, peers.take_received());
        self.findings.violations.extend(peers.take_findings());
        self.findings.violations.extend(client.take_findings());
        Ok(has_new_records || is_changed)
    }

    /// Checks that every acknowledged batch exists.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn check_acknowledged(&mut self, acknowledged: &[BatchId]) -> Result<()> {
        for batch in acknowledged {
            let exists = self.database.has_batch(batch.as_uuid())?;
            self.findings.check(Invariant::I1, exists, || {
                (format!("batch {batch}"), "it was acknowledged and does not exist".to_owned())
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use invariants::{Invariant, Judge};

    use super::EVALUATED;

    #[test]
    fn the_evaluated_invariants_are_those_that_the_catalogue_names() {
        let named: Vec<_> = Invariant::evaluated_by(Judge::Simulation).collect();
        assert_eq!(EVALUATED.map(|(invariant, _)| invariant).to_vec(), named);
    }
}
