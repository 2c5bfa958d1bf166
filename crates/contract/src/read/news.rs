//! Reader for BOS.

use serde::Deserialize;
use uuid::Uuid;

use super::envelope::open;
use super::fields::{Bounded, Id, Open, Reference, Word, id, optional_id, required};
use super::reason::{ErrorCode, ErrorInfo, FailureReason};
use super::{Incoming, ReadError};
use crate::events::{NlpFigures, SpellcheckMetrics};
use crate::parts::EssayRef;
use crate::status::{OutcomeStatus, PhaseName, Verdict};
use crate::strings::StorageId;
use crate::topic::Topic;

/// The payload of a record for BOS.
#[derive(Debug, Clone, PartialEq)]
pub enum IncomingBody {
    /// The spell checker's result for one essay: the 2025 form, or the thin or rich form of 2026.
    EssaySpellchecked {
        /// The essay.
        essay_id: Uuid,
        /// Its batch; missing in a 2025 success.
        batch_id: Option<Uuid>,
        /// The result.
        verdict: Verdict,
        /// The storage id of the corrected text.
        corrected_text_storage_id: Option<String>,
        /// The reason of the failure.
        reason: Option<FailureReason>,
        /// Counts; missing in the thin form.
        figures: Option<SpellcheckFigures>,
    },
    /// The nlp worker's result for one essay.
    EssayNlpDone {
        /// The essay.
        essay_id: Uuid,
        /// Its batch, if the record names it.
        batch_id: Option<Uuid>,
        /// The measurements.
        figures: NlpFigures,
    },
    /// The outcome of a phase, from ELS.
    PhaseOutcome {
        /// The batch.
        batch_id: Uuid,
        /// The phase.
        phase: PhaseName,
        /// The reported status.
        outcome: OutcomeStatus,
        /// The essays that succeeded, with their texts for the next phase.
        processed: Vec<EssayRef>,
        /// The essays that failed.
        failed: Vec<Uuid>,
    },
    /// ELS has every text of a batch, so commands can be sent.
    ContentProvisioned {
        /// The batch.
        batch_id: Uuid,
    },
}

/// Counts of a spellcheck, as far as the record has them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SpellcheckFigures {
    /// Number of words that were corrected.
    pub corrections_made: Option<u32>,
    /// The counts of the rich form.
    pub metrics: Option<SpellcheckMetrics>,
    /// The processing time in milliseconds.
    pub processing_duration_ms: Option<u64>,
}

/// Reads a record of a topic in [`Topic::READ`], in the form of either generation.
///
/// # Errors
/// See [`ReadError`]. Another topic is [`ReadError::NotRead`].
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other topic is not read here; a test compares READ with the arms"
)]
pub fn read(topic: Topic, bytes: &[u8]) -> Result<Incoming, ReadError> {
    match topic {
        Topic::EssaySpellcheckCompleted | Topic::SpellcheckPhaseCompleted | Topic::EssaySpellcheckResults => {
            open::<RawSpellcheck>(bytes)?.try_map(RawSpellcheck::body)
        }
        Topic::EssayNlpCompleted => open::<RawNlp>(bytes)?.try_map(RawNlp::body),
        Topic::BatchPhaseOutcome => open::<RawOutcome>(bytes)?.try_map(RawOutcome::body),
        Topic::BatchContentProvisioningCompleted | Topic::BatchEssaysReady => {
            open::<RawProvisioned>(bytes)?.try_map(RawProvisioned::body)
        }
        topic => Err(ReadError::NotRead { topic }),
    }
}

/// An entity in the nested form of 2025.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RawEntity {
    pub(super) entity_id: Option<Id>,
    pub(super) parent_id: Option<Id>,
}

impl RawEntity {
    /// The two ids of an optional entity.
    pub(super) fn ids(entity: Option<Self>) -> (Option<Id>, Option<Id>) {
        entity.map_or((None, None), |entity| (entity.entity_id, entity.parent_id))
    }
}

/// The three forms of the spell checker's answer together: the thin form has `batch_id`, the rich form that and `parent_id`,
/// the form of 2025 nests its ids and its reference.
#[derive(Deserialize, Default)]
#[serde(default)]
struct RawSpellcheck {
    entity_ref: Option<RawEntity>,
    entity_id: Option<Id>,
    parent_id: Option<Id>,
    batch_id: Option<Id>,
    status: Option<Word<Verdict>>,
    corrected_text_storage_id: Option<StorageId>,
    storage_metadata: Option<RawStorage>,
    error_code: Option<ErrorCode>,
    system_metadata: Option<RawSystem>,
    corrections_made: Option<u32>,
    correction_metrics: Option<SpellcheckMetrics>,
    processing_duration_ms: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawStorage {
    references: Option<RawReferences>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawReferences {
    corrected_text: Option<Reference>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawSystem {
    error_info: Option<ErrorInfo>,
}

impl RawSpellcheck {
    fn body(self) -> Result<IncomingBody, ReadError> {
        let (essay, parent) = RawEntity::ids(self.entity_ref);
        let referenced = || self.storage_metadata?.references?.corrected_text?.into_inner();
        let stated = self.system_metadata.and_then(|system| system.error_info?.into_reason());
        let figures = self.corrections_made.is_some() || self.correction_metrics.is_some();
        Ok(IncomingBody::EssaySpellchecked {
            essay_id: id([essay, self.entity_id], "data.entity_id")?,
            batch_id: optional_id([self.batch_id, parent, self.parent_id], "data.batch_id")?,
            verdict: Word::known(self.status, "data.status")?,
            corrected_text_storage_id: self
                .corrected_text_storage_id
                .map(StorageId::into_inner)
                .or_else(referenced),
            reason: stated.or_else(|| self.error_code?.into_reason()),
            figures: figures.then_some(SpellcheckFigures {
                corrections_made: self.corrections_made,
                metrics: self.correction_metrics,
                processing_duration_ms: self.processing_duration_ms,
            }),
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawNlp {
    essay_id: Option<Id>,
    entity_ref: Option<RawEntity>,
    entity_id: Option<Id>,
    parent_id: Option<Id>,
    nlp_metrics: Option<RawMetrics>,
    processing_metadata: Option<RawMeasures>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawMetrics {
    word_count: Option<u32>,
    sentence_count: Option<u32>,
    avg_sentence_length: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawMeasures {
    lix: Option<Open<f64>>,
    type_token_ratio: Option<Open<f64>>,
    flesch_reading_ease: Option<Open<f64>>,
}

impl RawNlp {
    fn body(self) -> Result<IncomingBody, ReadError> {
        let (essay, parent) = RawEntity::ids(self.entity_ref);
        let metrics = required(self.nlp_metrics, "data.nlp_metrics")?;
        let measures = self.processing_metadata.unwrap_or_default();
        Ok(IncomingBody::EssayNlpDone {
            essay_id: id([self.essay_id, essay, self.entity_id], "data.essay_id")?,
            batch_id: optional_id([parent, self.parent_id], "data.parent_id")?,
            figures: NlpFigures {
                words: required(metrics.word_count, "data.nlp_metrics.word_count")?,
                sentences: metrics.sentence_count,
                mean_sentence_length: metrics.avg_sentence_length,
                lix: Open::value(measures.lix),
                type_token_ratio: Open::value(measures.type_token_ratio),
                flesch: Open::value(measures.flesch_reading_ease),
            },
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawOutcome {
    batch_id: Option<Id>,
    phase_name: Option<Word<PhaseName>>,
    phase_status: Option<Word<OutcomeStatus>>,
    processed_essays: Option<Bounded<EssayRef>>,
    failed_essay_ids: Option<Bounded<Uuid>>,
}

impl RawOutcome {
    fn body(self) -> Result<IncomingBody, ReadError> {
        Ok(IncomingBody::PhaseOutcome {
            batch_id: id([self.batch_id], "data.batch_id")?,
            phase: Word::known(self.phase_name, "data.phase_name")?,
            outcome: Word::known(self.phase_status, "data.phase_status")?,
            processed: Bounded::items(self.processed_essays, "data.processed_essays")?,
            failed: Bounded::items(self.failed_essay_ids, "data.failed_essay_ids")?,
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawProvisioned {
    batch_id: Option<Id>,
}

impl RawProvisioned {
    fn body(self) -> Result<IncomingBody, ReadError> {
        Ok(IncomingBody::ContentProvisioned { batch_id: id([self.batch_id], "data.batch_id")? })
    }
}
