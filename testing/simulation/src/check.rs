//! The checker: what must hold after every turn, and what must hold when everything is quiet.
//!
//! It looks at the bus, and at the database through a connection of its own that no fault befalls; the counts that callers
//! see it reads as they do. It remembers what it has seen, so a turn costs what the turn has changed.

mod ends;
mod events;
mod eye;
mod parked;
mod states;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use domain::BatchId;
use store::Store;
use uuid::Uuid;

use crate::bus::{Bus, Place};
use crate::client::Client;
use crate::neighbours::{Neighbours, Task};
pub use ends::Ends;
use events::Event;
use eye::Eye;
pub use states::Seen;

/// Declares the invariants: their numbers as everywhere in this project, what is counted, and what they say.
macro_rules! invariants {
    ($($invariant:ident = $unit:literal $title:literal,)+) => {
        /// Something that must hold.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Invariant { $(#[doc = $title] $invariant,)+ }

        impl Invariant {
            /// Every invariant.
            pub const ALL: [Self; INVARIANTS] = [$(Self::$invariant,)+];

            /// Its name, what is counted, and what it says.
            pub const fn words(self) -> (&'static str, &'static str, &'static str) {
                match self { $(Self::$invariant => (stringify!($invariant), $unit, $title),)+ }
            }
        }

        const INVARIANTS: usize = [$(stringify!($invariant),)+].len();
    };
}

invariants! {
    I1 = "looks at acknowledged batches" "what was acknowledged is there, also after a crash",
    I2 = "essays × phases × attempts" "one event asks for a phase of an essay, per attempt",
    I3 = "batches" "refused leaves nothing; acknowledged leaves one",
    I4 = "records of ours" "what we send under one event id is the same every time",
    I5 = "records sent" "first occurrences of a key ascend, one is under way at a time, commands follow the registration",
    I6 = "records of ours" "every event on the bus was committed, and none is missing",
    I7 = "revisions" "status never goes back, ends once a run, and its counts add up",
    I8 = "batches" "after the last fault everything ends",
    I9 = "records read" "the committed place never leads the database",
    I10 = "queues" "nothing waits or is set aside that should not be",
    I11 = "keys" "a key makes one thing and always gets the same answer",
    Parked = "looks at parked messages" "a parked message holds back its key and nothing else, until somebody decides",
    Turn = "turns" "a turn comes to its end",
    Fold = "essays × phases" "results are those that the neighbours gave, and texts those that were handed in",
}

/// How the invariants fared.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    checked: [u64; INVARIANTS],
    /// What was found wrong.
    pub violations: Vec<(Invariant, String)>,
}

impl Findings {
    /// Holds an invariant against something.
    pub fn hold(&mut self, invariant: Invariant, holds: bool, wrong: impl FnOnce() -> String) {
        if let Some(times) = self.checked.get_mut(invariant as usize) {
            *times += 1;
        }
        if !holds {
            self.violations.push((invariant, wrong()));
        }
    }

    /// How often an invariant was put to the test.
    pub fn checked(&self, invariant: Invariant) -> u64 {
        self.checked.get(invariant as usize).copied().unwrap_or_default()
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        for (mine, other) in self.checked.iter_mut().zip(other.checked) {
            *mine += other;
        }
    }
}

/// What has been seen so far.
#[derive(Debug)]
pub struct Check {
    /// How the invariants fared so far.
    pub findings: Findings,
    eye: Eye,
    /// Records on the bus that are dealt with here.
    seen: usize,
    events: BTreeMap<Uuid, Event>,
    /// Of each ordering key, the last number that came first.
    order: BTreeMap<String, i64>,
    asked: BTreeMap<Task, Uuid>,
    /// The event under each number of a batch.
    numbers: BTreeMap<(Uuid, i64), Uuid>,
    dealt_with: BTreeMap<Place, usize>,
    poison: u64,
    states: BTreeMap<BatchId, Seen>,
    /// Messages that are parked.
    parked: usize,
    /// Two processes share the work.
    is_shared: bool,
}

impl Check {
    /// Nothing is seen yet of a database that two processes share, or one has for itself.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn new(file: &Path, is_shared: bool) -> Result<Self> {
        Ok(Self {
            findings: Findings::default(),
            eye: Eye::open(file)?,
            seen: 0,
            events: BTreeMap::new(),
            order: BTreeMap::new(),
            asked: BTreeMap::new(),
            numbers: BTreeMap::new(),
            dealt_with: BTreeMap::new(),
            poison: 0,
            states: BTreeMap::new(),
            parked: 0,
            is_shared,
        })
    }

    /// What a batch looked like when it was last seen.
    pub fn states(&self) -> impl Iterator<Item = (BatchId, &Seen)> {
        self.states.iter().map(|(batch, seen)| (*batch, seen))
    }

    /// How much has been seen: the same number means that nothing has changed.
    pub fn mark(&mut self) -> (usize, i64) {
        (self.seen, self.eye.version())
    }

    /// Looks at what the last turn has changed. True when that was something.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn look(
        &mut self,
        store: &Store,
        bus: &Bus,
        others: (&mut Neighbours, &mut Client),
    ) -> Result<bool> {
        let news = self.look_at_events(bus)?;
        self.look_at_flights(bus)?;
        let is_changed = self.eye.is_changed()?;
        if is_changed {
            self.look_at_states(store).await?;
            if bus.refuses_any() {
                self.look_at_parked()?;
            }
        }
        let (neighbours, client) = others;
        for complaint in neighbours.complaints() {
            self.findings.violations.push((Invariant::I5, complaint));
        }
        for complaint in client.complaints() {
            self.findings.violations.push((Invariant::I11, complaint));
        }
        Ok(news || is_changed)
    }

    /// What was acknowledged is there.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn look_for(&mut self, acknowledged: &[BatchId]) -> Result<()> {
        for batch in acknowledged {
            let is_there = self.eye.has_batch(batch.as_uuid())?;
            self.findings
                .hold(Invariant::I1, is_there, || format!("{batch} was acknowledged and is not there"));
        }
        Ok(())
    }
}
