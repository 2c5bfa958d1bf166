//! The request to the spell checker, and its two forms of answer in 2026.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::course::Language;
use crate::envelope::payload;
use crate::parts::{EntityRef, Subject, SystemMetadata, finite};
use crate::status::{EssayStatus, Verdict};
use crate::time::Timestamp;

/// Asks for the spellcheck of one essay, on
/// [`Topic::EssaySpellcheckRequested`](crate::Topic::EssaySpellcheckRequested). Valid in both generations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpellcheckRequested<'a> {
    event_name: &'static str,
    #[serde(flatten)]
    subject: Subject,
    timestamp: Timestamp,
    status: EssayStatus,
    system_metadata: SystemMetadata<'static>,
    text_storage_id: &'a str,
    language: Language,
}

payload!(SpellcheckRequested<'_>, "SpellcheckRequestedDataV1");

impl<'a> SpellcheckRequested<'a> {
    const EVENT: &'static str = "essay.spellcheck.requested";

    /// The request, with its timestamp.
    pub fn new(
        essay_id: Uuid,
        batch_id: Option<Uuid>,
        text_storage_id: &'a str,
        language: Language,
        at: DateTime<Utc>,
    ) -> Self {
        let essay = EntityRef::essay(essay_id, batch_id);
        Self {
            event_name: Self::EVENT,
            subject: essay.into(),
            timestamp: at.into(),
            status: EssayStatus::AwaitingSpellcheck,
            system_metadata: SystemMetadata::new(essay, Self::EVENT, at.into()).pending(),
            text_storage_id,
            language,
        }
    }
}

/// A spell checker's report on one essay.
#[derive(Debug, Clone, Copy)]
pub struct SpellcheckReport<'a> {
    /// The essay.
    pub essay_id: Uuid,
    /// Its batch.
    pub batch_id: Uuid,
    /// The correlation id of the request.
    pub correlation_id: Uuid,
    /// The result.
    pub verdict: Verdict,
    /// The storage id of the text that was checked.
    pub original_text_storage_id: &'a str,
    /// The storage id of the corrected text; `None` on failure.
    pub corrected_text_storage_id: Option<&'a str>,
    /// Number of words that were corrected.
    pub corrections_made: u32,
    /// Number of words in the text.
    pub word_count: u32,
    /// The processing time in milliseconds.
    pub processing_duration_ms: u64,
    /// The stable code of the failure.
    pub error_code: Option<&'a str>,
    /// The spell checking engine and its version.
    pub processor_version: &'a str,
}

/// The thin answer, on [`Topic::SpellcheckPhaseCompleted`](crate::Topic::SpellcheckPhaseCompleted). 2026 only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpellcheckPhaseCompleted<'a> {
    entity_id: Uuid,
    batch_id: Uuid,
    correlation_id: Uuid,
    status: Verdict,
    corrected_text_storage_id: Option<&'a str>,
    error_code: Option<&'a str>,
    processing_duration_ms: u64,
    timestamp: Timestamp,
}

payload!(SpellcheckPhaseCompleted<'_>, "SpellcheckPhaseCompletedV1");

impl<'a> SpellcheckPhaseCompleted<'a> {
    /// The answer, with its timestamp.
    pub fn new(report: &SpellcheckReport<'a>, at: DateTime<Utc>) -> Self {
        Self {
            entity_id: report.essay_id,
            batch_id: report.batch_id,
            correlation_id: report.correlation_id,
            status: report.verdict,
            corrected_text_storage_id: report.corrected_text_storage_id,
            error_code: report.error_code,
            processing_duration_ms: report.processing_duration_ms,
            timestamp: at.into(),
        }
    }
}

/// Counts of a spellcheck (2026 `SpellcheckMetricsV1`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpellcheckMetrics {
    /// Number of words that were corrected.
    pub total_corrections: u32,
    /// Corrections that come from the dictionary of learners' mistakes (L2).
    pub l2_dictionary_corrections: u32,
    /// Corrections that come from the spell checker itself.
    pub spellchecker_corrections: u32,
    /// Number of words in the text.
    pub word_count: u32,
    /// Corrections per 100 words.
    #[serde(serialize_with = "finite")]
    pub correction_density: f64,
}

/// The rich answer, on [`Topic::EssaySpellcheckResults`](crate::Topic::EssaySpellcheckResults). 2026 only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpellcheckResult<'a> {
    event_name: &'static str,
    #[serde(flatten)]
    subject: Subject,
    timestamp: Timestamp,
    status: EssayStatus,
    system_metadata: SystemMetadata<'a>,
    batch_id: Uuid,
    correlation_id: Uuid,
    user_id: Option<&'static str>,
    corrections_made: u32,
    correction_metrics: SpellcheckMetrics,
    original_text_storage_id: &'a str,
    corrected_text_storage_id: Option<&'a str>,
    processing_duration_ms: u64,
    processor_version: &'a str,
}

payload!(SpellcheckResult<'_>, "SpellcheckResultV1");

impl<'a> SpellcheckResult<'a> {
    const EVENT: &'static str = "essay.spellcheck.completed";

    /// The answer, with its timestamp.
    pub fn new(report: &SpellcheckReport<'a>, at: DateTime<Utc>) -> Self {
        let essay = EntityRef::essay(report.essay_id, Some(report.batch_id));
        let (status, failed) = match report.verdict {
            Verdict::Succeeded => (EssayStatus::SpellcheckedSuccess, false),
            Verdict::Failed => (EssayStatus::SpellcheckFailed, true),
        };
        Self {
            event_name: Self::EVENT,
            subject: essay.into(),
            timestamp: at.into(),
            status,
            system_metadata: SystemMetadata::new(essay, Self::EVENT, at.into())
                .done(report.error_code, failed),
            batch_id: report.batch_id,
            correlation_id: report.correlation_id,
            user_id: None,
            corrections_made: report.corrections_made,
            correction_metrics: SpellcheckMetrics {
                total_corrections: report.corrections_made,
                l2_dictionary_corrections: 0,
                spellchecker_corrections: report.corrections_made,
                word_count: report.word_count,
                correction_density: 100.0 * f64::from(report.corrections_made)
                    / f64::from(report.word_count.max(1)),
            },
            original_text_storage_id: report.original_text_storage_id,
            corrected_text_storage_id: report.corrected_text_storage_id,
            processing_duration_ms: report.processing_duration_ms,
            processor_version: report.processor_version,
        }
    }
}
