//! Adds records to an [`Audit`]: the service's own events ([`Said`]), and events that it consumes ([`Heard`]).

use bytes::Bytes;
use contract::{Source, Topic};
use engine::{Expectation, ports::Delivery};
use serde_json::Value;
use store::DeadLetterPosition;
use uuid::Uuid;

use super::{Audit, Partition, Record, digest, event, place, short};

/// An event that the service sent.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) digest: u128,
    /// The partition of its first record.
    pub(super) partition: Partition,
    /// The offset of its first record.
    pub(super) offset: i64,
    /// The earliest time of its records.
    pub(super) at_ms: i64,
    /// Its number within its ordering key.
    pub(super) key_seq: i64,
    /// Whether the database contains it.
    pub(super) committed: bool,
    /// A hash of its ordering key, which only the database contains.
    pub(super) ordering_key: Option<u64>,
}

/// A record below the group's offset, about a batch that may be in the database.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) batch: Uuid,
    pub(super) partition: Partition,
    pub(super) offset: i64,
}

impl Heard {
    pub(super) fn place(&self) -> DeadLetterPosition {
        let (topic, partition) = self.partition;
        (topic.as_str().to_owned(), partition, self.offset)
    }
}

impl Audit {
    /// Adds a record. Add the records of a partition in the order of their offsets.
    pub fn record(&mut self, record: &Record) {
        self.records += 1;
        if let Some((id, key_seq)) = ours(record) {
            self.said(id, key_seq, record);
        }
        if Topic::READ.contains(&record.topic) {
            self.heard(record);
        }
    }

    fn said(&mut self, id: Uuid, key_seq: i64, record: &Record) {
        self.same.checked += 1;
        let digest = digest(record.topic.as_str(), &record.key, &record.value);
        let partition = (record.topic, record.partition);
        if let Some(first) = self.said.get_mut(&id) {
            self.duplicates += 1;
            first.at_ms = first.at_ms.min(record.at_ms);
            if first.digest != digest || first.partition != partition || first.key_seq != key_seq {
                let location = format!("{} at {}", event(id), place(partition, record.offset));
                self.same.violated(|| {
                    (
                        location,
                        "another record of the event has different bytes, key, number or partition"
                            .to_owned(),
                    )
                });
            }
            return;
        }
        let key = (record.topic, short(&record.key));
        let home = *self.keys.entry(key).or_insert(record.partition);
        if home != record.partition {
            self.ordered.violated(|| {
                let location = format!("key {} of {}", String::from_utf8_lossy(&record.key), record.topic);
                (location, format!("it is on partitions {home} and {}", record.partition))
            });
        }
        self.asks(id, record);
        let said = Said {
            digest,
            partition,
            offset: record.offset,
            at_ms: record.at_ms,
            key_seq,
            committed: false,
            ordering_key: None,
        };
        self.said.insert(id, said);
    }

    /// Records which phases of which essays an event commands.
    fn asks(&mut self, id: Uuid, record: &Record) {
        let attempt = record.header("attempt").and_then(|attempt| attempt.parse().ok());
        let Some((phase, attempt)) = phase(record.topic).zip(attempt) else { return };
        let resend = record.header("resend").and_then(|resend| resend.parse().ok()).unwrap_or_default();
        for essay in essays(&serde_json::from_slice(&record.value).unwrap_or_default()) {
            self.once.checked += 1;
            let first = *self.asked.entry((essay, phase, attempt, resend)).or_insert(id);
            if first != id {
                self.once.violated(|| {
                    (event(id), format!("event {first} also commands {phase} of {essay}, attempt {attempt}"))
                });
            }
        }
    }

    /// Records which row a record below the group's offset must have left.
    fn heard(&mut self, record: &Record) {
        let partition = (record.topic, record.partition);
        if self.window.positions.get(&partition).is_none_or(|next| record.offset >= *next) {
            return;
        }
        self.applied.checked += 1;
        let delivery = Delivery {
            topic: record.topic,
            partition: record.partition,
            offset: record.offset,
            key: String::from_utf8_lossy(&record.key).into_owned(),
            value: Bytes::copy_from_slice(&record.value),
            trace: None,
        };
        let heard = |batch| Heard { batch, partition, offset: record.offset };
        match engine::expected_evidence(&delivery) {
            Expectation::NoRow => {}
            Expectation::InboxOrDeadLetter { event, batch } => {
                self.heard.entry(event).or_default().push(heard(batch));
            }
            Expectation::DeadLetter { batch: Some(batch) } => self.contradictions.push(heard(batch)),
            Expectation::DeadLetter { batch: None } => {
                let place = (record.topic.as_str().to_owned(), record.partition, record.offset);
                self.unreadable.insert(place);
            }
        }
    }
}

/// The id and the number of an event of this program. Other programs may use the same source names, but give no number.
fn ours(record: &Record) -> Option<(Uuid, i64)> {
    let source = record.header("source_service")?;
    let known = [Source::BatchService, Source::BatchOrchestratorService];
    known.iter().any(|ours| ours.as_str() == source).then_some(())?;
    Some((record.header("event_id")?.parse().ok()?, record.header("key_seq")?.parse().ok()?))
}

/// The phase that a record of this topic commands.
const fn phase(topic: Topic) -> Option<&'static str> {
    match topic {
        Topic::EssaySpellcheckRequested | Topic::SpellcheckInitiate => Some("spellcheck"),
        Topic::NlpInitiateV1 | Topic::NlpInitiateV2 => Some("nlp"),
        Topic::AiFeedbackInitiate => Some("ai_feedback"),
        Topic::CjAssessmentInitiate => Some("cj_assessment"),
        Topic::BatchEssaysRegistered
        | Topic::EssayContentProvisioned
        | Topic::BatchPipelineCompleted
        | Topic::EssaySpellcheckCompleted
        | Topic::SpellcheckPhaseCompleted
        | Topic::EssaySpellcheckResults
        | Topic::BatchPhaseOutcome
        | Topic::BatchContentProvisioningCompleted
        | Topic::BatchEssaysReady
        | Topic::BatchNlpProcessingRequestedV2
        | Topic::BatchNlpAnalysisCompleted
        | Topic::EssayNlpCompleted => None,
    }
}

/// The essays of a command, or the one essay of a request.
fn essays(envelope: &Value) -> Vec<Uuid> {
    let uuid = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    match envelope.pointer("/data/essays_to_process").and_then(Value::as_array) {
        Some(essays) => essays.iter().filter_map(|essay| uuid(essay.get("essay_id")?)).collect(),
        None => envelope.pointer("/data/entity_id").and_then(uuid).into_iter().collect(),
    }
}
