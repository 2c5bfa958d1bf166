//! The simulated lifecycle service and the workers behind it. They are as strict as the platform's: a command
//! moves only essays that are registered, have their text and are in the entry status of the phase, and
//! skips everything else silently.
//!
//! They keep their state when the engine crashes, may read a record twice, forget a command or a request for
//! good, and lose, repeat and reorder what they publish.

mod events;
mod lifecycle;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use contract::{NeighbourBody, PhaseName, Topic};
use engine::ports::Record;
use invariants::{Finding, Invariant};
use uuid::Uuid;

use crate::bus::{About, Bus, TopicPartition};
use crate::chance::{Chance, Fault};
use crate::clock::SimulatedClock;
use events::EventWriter;
pub(crate) use events::WORKER_FAILED;
pub use lifecycle::Statuses;
use lifecycle::{Essay, Unheard};

/// The topics that the peers read.
const READ: [Topic; 8] = [
    Topic::BatchEssaysRegistered,
    Topic::EssayContentProvisioned,
    Topic::EssaySpellcheckRequested,
    Topic::SpellcheckInitiate,
    Topic::NlpInitiateV1,
    Topic::NlpInitiateV2,
    Topic::AiFeedbackInitiate,
    Topic::CjAssessmentInitiate,
];

/// One attempt at a phase of an essay.
pub type Task = (Uuid, PhaseName, u32);

/// All peers of the engine.
#[derive(Debug)]
pub struct Peers {
    chance: Chance,
    bus: Bus,
    writer: EventWriter,
    positions: BTreeMap<TopicPartition, usize>,
    batches: BTreeMap<Uuid, Batch>,
    /// Events that are produced and not yet on the bus.
    outgoing: Vec<Outgoing>,
    /// Results that the lifecycle service has not dealt with.
    unheard: Vec<Unheard>,
    /// What was forgotten once: a command by its correlation id, a request by its essay.
    forgotten: BTreeSet<(PhaseName, Uuid, u32)>,
    /// The event ids of what was forgotten.
    forgotten_events: BTreeSet<Uuid>,
    statuses: Statuses,
    /// Nothing is lost and no time-out passes, so no command can rightly come too early.
    calm: bool,
    /// Whether an essay may be commanded again into a phase that it has been through.
    retries: bool,
    verdicts: BTreeMap<Task, bool>,
    /// Wrong commands of the engine (S2).
    findings: Vec<Finding>,
    /// Records of the engine received since they were last counted.
    received: u64,
    unreadable: u128,
    /// The share of turns in which they publish although they could read, in percent.
    publish_percent: u8,
    /// The share of tasks that succeed, in percent.
    success_percent: u8,
}

/// A batch as the lifecycle service knows it.
#[derive(Debug, Default)]
struct Batch {
    registered: Option<(Uuid, Uuid, BTreeSet<Uuid>)>,
    texts: BTreeMap<Uuid, String>,
    complete: bool,
    /// The essays that are registered and have their text.
    essays: BTreeMap<Uuid, Essay>,
    /// Commands that moved essays, by their correlation ids; only to recognize a retry.
    executed: BTreeSet<(PhaseName, Uuid)>,
}

/// An event to be published.
#[derive(Debug)]
struct Outgoing {
    record: Record,
    batch: Uuid,
    /// A result, which may be lost. The event that completes a registration is never lost, because without it
    /// nothing goes on.
    is_result: bool,
}

impl Peers {
    /// Peers that know no batch yet.
    ///
    /// `calm`: nothing is lost and no time-out passes. `retries`: an essay may be commanded again into a phase
    /// that it has been through.
    pub fn new(
        chance: Chance,
        bus: Bus,
        clock: SimulatedClock,
        statuses: Statuses,
        (calm, retries): (bool, bool),
    ) -> Self {
        let publish_percent = chance.pick(&[8, 30, 50]).unwrap_or_default();
        let success_percent = chance.pick(&[60, 90, 100]).unwrap_or_default();
        Self {
            chance,
            bus,
            writer: EventWriter { clock },
            positions: BTreeMap::new(),
            batches: BTreeMap::new(),
            outgoing: Vec::new(),
            unheard: Vec::new(),
            forgotten: BTreeSet::new(),
            forgotten_events: BTreeSet::new(),
            statuses,
            calm,
            retries,
            verdicts: BTreeMap::new(),
            findings: Vec::new(),
            received: 0,
            unreadable: 0,
            publish_percent,
            success_percent,
        }
    }

    /// Whether a task that was done has succeeded.
    pub fn verdict(&self, task: Task) -> Option<bool> {
        self.verdicts.get(&task).copied()
    }

    /// Whether a task, or an earlier attempt at it, was done with this result: an outcome names essays, whichever
    /// command moved them.
    pub fn has_verdict(&self, (essay, phase, attempt): Task, succeeded: bool) -> bool {
        (1..=attempt).any(|attempt| self.verdict((essay, phase, attempt)) == Some(succeeded))
    }

    /// The wrong commands of the engine since the last call.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// The number of records of the engine that were received since the last call.
    pub fn take_received(&mut self) -> u64 {
        std::mem::take(&mut self.received)
    }

    fn report_wrong(&mut self, location: String, what: impl Into<String>) {
        self.findings.push(Finding::new(Invariant::S2, location, what));
    }

    /// Whether everything is read and published.
    pub fn is_quiet(&self) -> bool {
        self.outgoing.is_empty()
            && self.unheard.is_empty()
            && self.bus.end_offsets(&READ).iter().all(|(place, end)| self.positions.get(place) == Some(end))
    }

    /// Takes one turn: reads a record, deals with a result or publishes an event.
    pub fn turn(&mut self) {
        if self.chance.percent(self.publish_percent) || !self.read() {
            if self.outgoing.is_empty() || self.chance.percent(40) {
                self.hear();
            } else {
                self.publish();
            }
        }
        self.publish_noise();
    }

    /// Reads one record. False when everything is read.
    fn read(&mut self) -> bool {
        let unread: Vec<TopicPartition> = self
            .bus
            .end_offsets(&READ)
            .into_iter()
            .filter(|(place, end)| self.positions.get(place).copied().unwrap_or_default() < *end)
            .map(|(place, _)| place)
            .collect();
        let Some(place) = self.chance.pick(&unread) else { return false };
        let position = self.positions.entry(place).or_default();
        let at = *position;
        if !self.chance.injects(Fault::PeerRedelivery) {
            *position += 1;
        }
        if let Some(entry) = self.bus.entry(place, at)
            && entry.about == About::Ours
        {
            self.receive(&entry.record);
        }
        true
    }

    fn publish(&mut self) {
        let chance = self.chance.clone();
        let count = self.outgoing.len();
        if count == 0 {
            return;
        }
        let at = if chance.injects(Fault::ResultReorder) { chance.below(count) } else { 0 };
        let Outgoing { record, batch, is_result } = self.outgoing.remove(at);
        if record.topic == Topic::BatchPhaseOutcome && chance.injects(Fault::OutcomeSlow) {
            self.outgoing.push(Outgoing { record, batch, is_result });
            return;
        }
        if is_result && chance.injects(Fault::ResultLost) {
            return;
        }
        // A repeated result may come much later, while another attempt is running.
        if chance.injects(Fault::ResultDuplicate) {
            self.outgoing.push(Outgoing { record: record.clone(), batch, is_result });
        }
        if chance.injects(Fault::ResultRepeated) {
            let record = events::under_another_id(&record);
            self.outgoing.push(Outgoing { record, batch, is_result });
        }
        self.bus.append(record, About::Batch(batch));
    }

    /// Publishes unreadable records and events about foreign batches.
    fn publish_noise(&mut self) {
        if self.chance.injects(Fault::Poison) {
            self.unreadable += 1;
            let topic = self.chance.pick(Topic::READ).unwrap_or(Topic::BatchPhaseOutcome);
            self.bus.append(events::poison(topic, self.unreadable), About::Poison);
        }
        if self.chance.injects(Fault::Foreign) {
            self.bus.append(self.writer.foreign(self.chance.uuid()), About::Foreign);
        }
    }

    fn receive(&mut self, record: &Record) {
        self.received += 1;
        let Ok(incoming) = contract::read_neighbour(record.topic, &record.value) else {
            let location = format!("event {} on {}", record.event_id, record.topic);
            self.report_wrong(location, "the peers cannot read it");
            return;
        };
        let correlation = incoming.correlation_id.unwrap_or(incoming.event_id);
        let cause = (incoming.event_id, correlation);
        match incoming.body {
            NeighbourBody::EssaysRegistered { batch_id, essay_ids, .. } => {
                let batch = self.batches.entry(batch_id).or_default();
                batch.registered.get_or_insert_with(|| (cause.0, cause.1, essay_ids.into_iter().collect()));
                self.complete(batch_id);
            }
            NeighbourBody::EssayContentProvisioned { batch_id, file_upload_id, text_storage_id, .. } => {
                if let Ok(essay) = file_upload_id.parse() {
                    let batch = self.batches.entry(batch_id).or_default();
                    batch.texts.entry(essay).or_insert(text_storage_id);
                }
                self.complete(batch_id);
            }
            NeighbourBody::InitiatePhase { phase, batch_id, essays, .. } => {
                if self.forgets(cause.0, (phase, correlation, 0)) {
                    return;
                }
                let essays: Vec<_> =
                    essays.into_iter().map(|essay| (essay.essay_id, essay.text_storage_id)).collect();
                self.command(cause, phase, batch_id, &essays, attempt(record));
            }
            NeighbourBody::SpellcheckRequested { essay_id, batch_id, text_storage_id, .. } => {
                let attempt = attempt(record);
                let Some(batch) = batch_id else {
                    // The spell checker corrects such a text and publishes nothing.
                    self.report_wrong(format!("essay {essay_id}"), "a request names no batch");
                    return;
                };
                if self.forgets(cause.0, (PhaseName::Spellcheck, essay_id, attempt)) {
                    return;
                }
                self.check(cause, batch, (essay_id, &text_storage_id), attempt);
            }
            NeighbourBody::NlpRequested { .. } | NeighbourBody::NlpAnalysed { .. } => {}
        }
    }

    /// Draws whether a task succeeds; a task that is requested again ends as before.
    fn decide(&mut self, task: Task) -> bool {
        let (chance, good) = (&self.chance, self.success_percent);
        *self.verdicts.entry(task).or_insert_with(|| chance.percent(good))
    }
}

/// The batch of a record key, which is a batch id or an essay id.
pub(crate) fn batch_of(key: &str) -> Uuid {
    key.parse().map(events::batch_of).unwrap_or_default()
}

/// The attempt number in the header of a command or a request.
pub(crate) fn attempt(record: &Record) -> u32 {
    let header = record.headers.iter().find(|(name, _)| name == contract::Header::ATTEMPT);
    header.and_then(|(_, value)| value.parse().ok()).unwrap_or_default()
}
