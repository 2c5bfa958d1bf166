//! The lifecycle service and the workers behind it, as strict as the platform's: they move only essays that are registered, have
//! their text and were commanded, and pass over everything else without a word.
//!
//! They keep their state whatever happens to the engine, may read a record twice, and lose, repeat and reorder what they say.

mod words;

use std::collections::{BTreeMap, BTreeSet};

use contract::{NeighbourBody, PhaseName, Topic};
use engine::ports::Record;
use uuid::Uuid;

use crate::bus::{About, Bus, Place};
use crate::chance::{Chance, Fault};
use crate::clock::SimulatedClock;
use words::Speaker;
pub(crate) use words::WORKER_FAILED;

/// What the neighbours read.
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

/// An essay in a phase: one attempt at it.
pub type Task = (Uuid, PhaseName, u32);

/// Everybody around the engine.
#[derive(Debug)]
pub struct Neighbours {
    chance: Chance,
    bus: Bus,
    speaker: Speaker,
    positions: BTreeMap<Place, usize>,
    batches: BTreeMap<Uuid, Batch>,
    /// Said and not yet on the bus.
    outgoing: Vec<Outgoing>,
    verdicts: BTreeMap<Task, bool>,
    /// What the engine should not have asked for.
    complaints: Vec<String>,
    poisoned: u128,
    /// How often they say something where they could read, in percent.
    talkative: u8,
    /// How many tasks succeed, in percent.
    good: u8,
}

/// A batch as the lifecycle service knows it.
#[derive(Debug, Default)]
struct Batch {
    registered: Option<(Uuid, Uuid, BTreeSet<Uuid>)>,
    texts: BTreeMap<Uuid, String>,
    complete: bool,
    /// Commands that were followed, by their correlation ids.
    followed: BTreeSet<(PhaseName, Uuid)>,
}

/// Something that a neighbour says.
#[derive(Debug)]
struct Outgoing {
    record: Record,
    batch: Uuid,
    /// A result, which may get lost; what is needed to go on at all does not in a calm run either way.
    is_result: bool,
}

impl Neighbours {
    /// Nothing is known yet.
    pub fn new(chance: Chance, bus: Bus, clock: SimulatedClock) -> Self {
        let talkative = chance.pick(&[8, 30, 50]).unwrap_or_default();
        let good = chance.pick(&[60, 90, 100]).unwrap_or_default();
        Self {
            chance,
            bus,
            speaker: Speaker { clock },
            positions: BTreeMap::new(),
            batches: BTreeMap::new(),
            outgoing: Vec::new(),
            verdicts: BTreeMap::new(),
            complaints: Vec::new(),
            poisoned: 0,
            talkative,
            good,
        }
    }

    /// How each task that was done ended.
    pub fn verdict(&self, task: Task) -> Option<bool> {
        self.verdicts.get(&task).copied()
    }

    /// What the engine should not have asked for, since the last call.
    pub fn complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// Whether everything is read and said.
    pub fn is_quiet(&self) -> bool {
        self.outgoing.is_empty()
            && self.bus.ends(&READ).iter().all(|(place, end)| self.positions.get(place) == Some(end))
    }

    /// One thing: a record is read, or something is said.
    pub fn turn(&mut self) {
        if self.chance.percent(self.talkative) || !self.read() {
            self.say();
        }
        self.disturb();
    }

    /// False when everything is read.
    fn read(&mut self) -> bool {
        let unread: Vec<Place> = self
            .bus
            .ends(&READ)
            .into_iter()
            .filter(|(place, end)| self.positions.get(place).copied().unwrap_or_default() < *end)
            .map(|(place, _)| place)
            .collect();
        let Some(place) = self.chance.pick(&unread) else { return false };
        let position = self.positions.entry(place).or_default();
        let at = *position;
        if !self.chance.strikes(Fault::NeighbourRedelivery) {
            *position += 1;
        }
        if let Some(entry) = self.bus.entry(place, at)
            && entry.about == About::Ours
        {
            self.hear(&entry.record);
        }
        true
    }

    fn say(&mut self) {
        let chance = self.chance.clone();
        let count = self.outgoing.len();
        if count == 0 {
            return;
        }
        let at = if chance.strikes(Fault::ResultReorder) { chance.below(count) } else { 0 };
        let Outgoing { record, batch, is_result } = self.outgoing.remove(at);
        if record.topic == Topic::BatchPhaseOutcome && chance.strikes(Fault::OutcomeSlow) {
            self.outgoing.push(Outgoing { record, batch, is_result });
            return;
        }
        if is_result && chance.strikes(Fault::ResultLost) {
            return;
        }
        // What comes again may come much later, when another attempt is at work.
        if chance.strikes(Fault::ResultDuplicate) {
            self.outgoing.push(Outgoing { record: record.clone(), batch, is_result });
        }
        if chance.strikes(Fault::ResultRepeated) {
            let record = words::under_another_id(&record);
            self.outgoing.push(Outgoing { record, batch, is_result });
        }
        self.bus.append(record, About::Batch(batch));
    }

    /// What nobody asked for.
    fn disturb(&mut self) {
        if self.chance.strikes(Fault::Poison) {
            self.poisoned += 1;
            let topic = self.chance.pick(Topic::READ).unwrap_or(Topic::BatchPhaseOutcome);
            self.bus.append(words::poison(topic, self.poisoned), About::Poison);
        }
        if self.chance.strikes(Fault::Foreign) {
            self.bus.append(self.speaker.foreign(self.chance.uuid()), About::Nobody);
        }
    }

    fn hear(&mut self, record: &Record) {
        let Ok(incoming) = contract::read_neighbour(record.topic, &record.value) else {
            self.complaints
                .push(format!("the neighbours cannot read {} on {}", record.event_id, record.topic));
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
                let succeeded = self.judge((essay_id, PhaseName::Spellcheck, attempt(record)));
                let answer = self.speaker.lone(cause, essay_id, batch_id, &text_storage_id, succeeded);
                self.outgoing.push(Outgoing {
                    record: answer,
                    batch: words::batch_of(essay_id),
                    is_result: true,
                });
            }
            NeighbourBody::NlpRequested { .. } | NeighbourBody::NlpAnalysed { .. } => {}
        }
    }

    /// The registered essays have their texts: that is said once.
    fn complete(&mut self, batch_id: Uuid) {
        let Some(batch) = self.batches.get_mut(&batch_id) else { return };
        let Some((event, correlation, essays)) = batch.registered.as_ref() else { return };
        if batch.complete || !essays.iter().all(|essay| batch.texts.contains_key(essay)) {
            return;
        }
        batch.complete = true;
        let record = self.speaker.complete((*event, *correlation), batch_id, &batch.texts);
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
            self.complaints.push(format!("{phase} of {batch_id} was commanded before its registration"));
            return;
        };
        if !batch.followed.insert((phase, cause.1)) {
            return;
        }
        let known: Vec<_> =
            essays.iter().filter(|(essay, _)| batch.texts.contains_key(essay)).cloned().collect();
        if known.len() != essays.len() {
            self.complaints
                .push(format!("{phase} of {batch_id} was commanded for essays that are not registered"));
        }
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (essay, text) in known {
            let succeeded = self.judge((essay, phase, attempt));
            let report = self.speaker.report(cause, phase, batch_id, essay, &text, succeeded);
            let results =
                report.into_iter().map(|record| Outgoing { record, batch: batch_id, is_result: true });
            self.outgoing.extend(results);
            if succeeded { good.push((essay, words::text_after(phase, &text))) } else { bad.push(essay) }
        }
        let record = self.speaker.outcome(cause, phase, batch_id, &good, &bad);
        self.outgoing.push(Outgoing { record, batch: batch_id, is_result: true });
    }

    /// A task that is asked for again ends as it did.
    fn judge(&mut self, task: Task) -> bool {
        let (chance, good) = (&self.chance, self.good);
        *self.verdicts.entry(task).or_insert_with(|| chance.percent(good))
    }
}

/// The batch that a key names: its own, or that of the essay.
pub(crate) fn batch_of(key: &str) -> Uuid {
    key.parse().map(words::batch_of).unwrap_or_default()
}

/// The attempt that a command or request is, which its header says.
pub(crate) fn attempt(record: &Record) -> u32 {
    let header = record.headers.iter().find(|(name, _)| name == contract::Header::ATTEMPT);
    header.and_then(|(_, value)| value.parse().ok()).unwrap_or_default()
}
