//! The events that the peers publish, in the platform's format. Ids are derived from the cause, so a repeated
//! event has the same id.

use std::collections::BTreeMap;

use contract::{
    BatchContentProvisioningCompleted, CourseCode, ElsBatchPhaseOutcome, Envelope, EssayNlpCompleted,
    EssayRef, Language, NlpFigures, NlpReport, Payload, PhaseName, Source, SpellcheckPhaseCompleted,
    SpellcheckReport, SpellcheckResult, Topic, Verdict,
};
use engine::ports::{Clock as _, Record};
use uuid::Uuid;

use crate::clock::SimulatedClock;

/// The record that caused an event: its event id and its correlation id.
type Cause = (Uuid, Uuid);

/// Writes the events of all peers.
#[derive(Debug)]
pub(super) struct EventWriter {
    pub(super) clock: SimulatedClock,
}

impl EventWriter {
    fn record<T: Payload>(&self, topic: Topic, cause: Cause, key: Uuid, part: &str, payload: T) -> Record {
        let event_id = Uuid::new_v5(&cause.0, format!("{topic}\n{part}").as_bytes());
        let now = self.clock.now();
        let envelope =
            Envelope::new(topic, event_id, cause.1, now, Source::EssayLifecycleService, payload, None);
        Record {
            topic,
            key: key.to_string(),
            event_id,
            value: envelope.to_bytes(),
            headers: Vec::new(),
            at: None,
        }
    }

    pub(super) fn complete(&self, cause: Cause, batch: Uuid, texts: &BTreeMap<Uuid, String>) -> Record {
        let essays: Vec<_> = texts.iter().map(|(essay, text)| reference(*essay, text)).collect();
        let expected = u32::try_from(essays.len()).unwrap_or(u32::MAX);
        let now = self.clock.now();
        let payload = BatchContentProvisioningCompleted::new(
            batch,
            &essays,
            expected,
            CourseCode::Eng5,
            "local",
            cause.1,
            now,
        );
        self.record(Topic::BatchContentProvisioningCompleted, cause, batch, "", payload)
    }

    /// A worker's events about one essay: two for spellcheck, one for nlp, none for the other phases.
    pub(super) fn report(
        &self,
        cause: Cause,
        phase: PhaseName,
        batch: Uuid,
        essay: Uuid,
        text: &str,
        succeeded: bool,
    ) -> Vec<Record> {
        let (part, now) = (essay.to_string(), self.clock.now());
        match phase {
            PhaseName::Spellcheck => {
                let corrected = text_after(phase, text);
                let report = SpellcheckReport {
                    essay_id: essay,
                    batch_id: batch,
                    correlation_id: cause.1,
                    verdict: if succeeded { Verdict::Succeeded } else { Verdict::Failed },
                    original_text_storage_id: text,
                    corrected_text_storage_id: succeeded.then_some(corrected.as_str()),
                    corrections_made: 1,
                    word_count: 100,
                    processing_duration_ms: 5,
                    error_code: (!succeeded).then_some(WORKER_FAILED),
                    processor_version: "simulated",
                };
                let (thin, rich) =
                    (SpellcheckPhaseCompleted::new(&report, now), SpellcheckResult::new(&report, now));
                vec![
                    self.record(Topic::SpellcheckPhaseCompleted, cause, batch, &part, thin),
                    self.record(Topic::EssaySpellcheckResults, cause, batch, &part, rich),
                ]
            }
            PhaseName::Nlp if succeeded => {
                let report = NlpReport {
                    essay_id: essay,
                    batch_id: batch,
                    text_storage_id: text,
                    language: Language::English,
                    figures: NlpFigures { words: 100, ..NlpFigures::default() },
                    processing_time_ms: 5,
                };
                let payload = EssayNlpCompleted::new(&report, now);
                vec![self.record(Topic::EssayNlpCompleted, cause, batch, &part, payload)]
            }
            PhaseName::Nlp | PhaseName::AiFeedback | PhaseName::CjAssessment | PhaseName::StudentMatching => {
                Vec::new()
            }
        }
    }

    pub(super) fn outcome(
        &self,
        cause: Cause,
        phase: PhaseName,
        batch: Uuid,
        (good, bad): (&[(Uuid, String)], &[Uuid]),
        part: &str,
    ) -> Record {
        let processed: Vec<_> = good.iter().map(|(essay, text)| reference(*essay, text)).collect();
        let payload = ElsBatchPhaseOutcome::new(batch, phase, &processed, bad, cause.1);
        self.record(Topic::BatchPhaseOutcome, cause, batch, part, payload)
    }

    /// The spell checker's result in the format of the platform's 2025 generation.
    pub(super) fn result_of_2025(
        &self,
        cause: Cause,
        essay: Uuid,
        batch: Uuid,
        text: &str,
        succeeded: bool,
    ) -> Record {
        let topic = Topic::EssaySpellcheckCompleted;
        let event_id = Uuid::new_v5(&cause.0, format!("{topic}\n{essay}").as_bytes());
        let corrected = text_after(PhaseName::Spellcheck, text);
        let storage = succeeded
            .then(|| serde_json::json!({ "references": { "corrected_text": { "default": corrected } } }));
        let (status, error) = if succeeded {
            ("spellchecked_success", serde_json::json!({}))
        } else {
            ("spellcheck_failed", serde_json::json!({ "error_code": WORKER_FAILED }))
        };
        let envelope = serde_json::json!({
            "event_id": event_id,
            "event_type": "huleedu.spellchecker.essay.concluded.v1",
            "event_timestamp": self.clock.now(),
            "source_service": "spellchecker_service",
            "correlation_id": cause.1,
            "data": {
                "event_name": "essay.spellcheck.result.received",
                "entity_ref": { "entity_id": essay, "entity_type": "essay", "parent_id": batch },
                "status": status,
                "system_metadata": { "error_info": error },
                "original_text_storage_id": text,
                "storage_metadata": storage,
                "corrections_made": 1,
            },
        });
        let value = envelope.to_string().into_bytes();
        Record { topic, key: batch.to_string(), event_id, value, headers: Vec::new(), at: None }
    }

    /// An event about a batch of another installation.
    pub(super) fn foreign(&self, stranger: Uuid) -> Record {
        self.outcome((stranger, stranger), PhaseName::Spellcheck, stranger, (&[], &[stranger]), "")
    }
}

/// The error code of failed tasks.
pub(crate) const WORKER_FAILED: &str = "simulated_failure";

fn reference(essay_id: Uuid, text: &str) -> EssayRef {
    EssayRef { essay_id, text_storage_id: text.to_owned() }
}

/// The text that a phase produces.
pub(super) fn text_after(phase: PhaseName, text: &str) -> String {
    if phase == PhaseName::Spellcheck { format!("corrected-{text}") } else { text.to_owned() }
}

/// The batch of an essay id.
pub(super) fn batch_of(essay: Uuid) -> Uuid {
    domain::EssayId::try_from(essay).map_or(essay, |essay| essay.batch().as_uuid())
}

/// The same event with another id.
pub(super) fn under_another_id(record: &Record) -> Record {
    let event_id = Uuid::new_v5(&record.event_id, b"again");
    let (old, new) = (record.event_id.to_string(), event_id.to_string());
    let value = String::from_utf8_lossy(&record.value).replace(&old, &new).into_bytes();
    Record { event_id, value, ..record.clone() }
}

/// A record with unreadable bytes.
pub(super) fn poison(topic: Topic, number: u128) -> Record {
    let event_id = Uuid::from_u128(number);
    let value = match number % 3 {
        0 => Vec::new(),
        1 => b"{\"data\": ".to_vec(),
        _ => b"\xff\xfe".to_vec(),
    };
    Record { topic, key: event_id.to_string(), event_id, value, headers: Vec::new(), at: None }
}
