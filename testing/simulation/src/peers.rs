//! The simulated lifecycle service and the workers behind it. They are as strict as the platform's: they
//! process only essays that are registered, have their text and were commanded, and ignore everything else
//! silently.
//!
//! They keep their state when the engine crashes, may read a record twice, and lose, repeat and reorder what
//! they publish.

mod events;

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
    /// Executed commands, by their correlation ids.
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
    pub fn new(chance: Chance, bus: Bus, clock: SimulatedClock) -> Self {
        let publish_percent = chance.pick(&[8, 30, 50]).unwrap_or_default();
        let success_percent = chance.pick(&[60, 90, 100]).unwrap_or_default();
        Self {
            chance,
            bus,
            writer: EventWriter { clock },
            positions: BTreeMap::new(),
            batches: BTreeMap::new(),
            outgoing: Vec::new(),
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
            && self.bus.end_offsets(&READ).iter().all(|(place, end)| self.positions.get(place) == Some(end))
    }

    /// Takes one turn: reads a record or publishes an event.
    pub fn turn(&mut self) {
        if self.chance.percent(self.publish_percent) || !self.read() {
            self.publish();
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
                let essays: Vec<_> =
                    essays.into_iter().map(|essay| (essay.essay_id, essay.text_storage_id)).collect();
                self.command(cause, phase, batch_id, &essays, attempt(record));
            }
            NeighbourBody::SpellcheckRequested { essay_id, batch_id, text_storage_id, .. } => {
                let succeeded = self.decide((essay_id, PhaseName::Spellcheck, attempt(record)));
                let answer =
                    self.writer.single_essay_result(cause, essay_id, batch_id, &text_storage_id, succeeded);
                self.outgoing.push(Outgoing {
                    record: answer,
                    batch: events::batch_of(essay_id),
                    is_result: true,
                });
            }
            NeighbourBody::NlpRequested { .. } | NeighbourBody::NlpAnalysed { .. } => {}
        }
    }

    /// Publishes, once, that all registered essays of a batch have their texts.
    fn complete(&mut self, batch_id: Uuid) {
        let Some(batch) = self.batches.get_mut(&batch_id) else { return };
        let Some((event, correlation, essays)) = batch.registered.as_ref() else { return };
        if batch.complete || !essays.iter().all(|essay| batch.texts.contains_key(essay)) {
            return;
        }
        batch.complete = true;
        let record = self.writer.complete((*event, *correlation), batch_id, &batch.texts);
        self.outgoing.push(Outgoing { record, batch: batch_id, is_result: false });
    }

    fn command(
        &mut self,
        cause: (Uuid, Uuid),
        phase: PhaseName,
        batch_id: Uuid,
        essays: &[(Uuid, String)],
        attempt: u32,
    ) {
        let Some(batch) = self.batches.get_mut(&batch_id).filter(|batch| batch.complete) else {
            let what = format!("{phase} was commanded before its registration");
            self.report_wrong(format!("batch {batch_id}"), what);
            return;
        };
        if !batch.executed.insert((phase, cause.1)) {
            return;
        }
        let known: Vec<_> =
            essays.iter().filter(|(essay, _)| batch.texts.contains_key(essay)).cloned().collect();
        if known.len() != essays.len() {
            let what = format!("{phase} was commanded for essays that are not registered");
            self.report_wrong(format!("batch {batch_id}"), what);
        }
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (essay, text) in known {
            let succeeded = self.decide((essay, phase, attempt));
            let report = self.writer.report(cause, phase, batch_id, essay, &text, succeeded);
            let results =
                report.into_iter().map(|record| Outgoing { record, batch: batch_id, is_result: true });
            self.outgoing.extend(results);
            if succeeded { good.push((essay, events::text_after(phase, &text))) } else { bad.push(essay) }
        }
        let record = self.writer.outcome(cause, phase, batch_id, &good, &bad);
        self.outgoing.push(Outgoing { record, batch: batch_id, is_result: true });
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
