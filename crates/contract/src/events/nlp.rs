//! Messages between ELS and the nlp worker, and the worker's measurements.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::course::Language;
use crate::envelope::payload;
use crate::parts::{EntityRef, EssayRef, PromptRef, Subject, SystemMetadata, finite};
use crate::status::OutcomeStatus;
use crate::time::Timestamp;

/// Asks for the analysis of a batch, on
/// [`Topic::BatchNlpProcessingRequestedV2`](crate::Topic::BatchNlpProcessingRequestedV2). 2026 only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchNlpProcessingRequestedV2<'a> {
    event_name: &'static str,
    #[serde(flatten)]
    subject: Subject,
    timestamp: Timestamp,
    essays_to_process: &'a [EssayRef],
    language: Language,
    batch_id: Uuid,
    student_prompt_ref: Option<PromptRef<'a>>,
}

payload!(BatchNlpProcessingRequestedV2<'_>, "BatchNlpProcessingRequestedV2");

impl<'a> BatchNlpProcessingRequestedV2<'a> {
    /// The request, with its timestamp.
    pub fn new(
        batch_id: Uuid,
        essays: &'a [EssayRef],
        language: Language,
        student_prompt_ref: Option<&'a str>,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            event_name: "batch.nlp.processing.requested.v2",
            subject: EntityRef::batch(batch_id).into(),
            timestamp: at.into(),
            essays_to_process: essays,
            language,
            batch_id,
            student_prompt_ref: student_prompt_ref.map(PromptRef::new),
        }
    }
}

/// A batch has been analysed, on
/// [`Topic::BatchNlpAnalysisCompleted`](crate::Topic::BatchNlpAnalysisCompleted). 2026 only.
///
/// ELS takes each essay's result from the two lists of ids in `processing_summary`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchNlpAnalysisCompleted<'a> {
    event_name: &'static str,
    #[serde(flatten)]
    subject: Subject,
    timestamp: Timestamp,
    status: OutcomeStatus,
    system_metadata: SystemMetadata<'static>,
    batch_id: Uuid,
    processing_summary: ProcessingSummary<'a>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct ProcessingSummary<'a> {
    total_essays: usize,
    successful: usize,
    failed: usize,
    successful_essay_ids: &'a [Uuid],
    failed_essay_ids: &'a [Uuid],
    #[serde(serialize_with = "finite")]
    processing_time_seconds: f64,
}

payload!(BatchNlpAnalysisCompleted<'_>, "BatchNlpAnalysisCompletedV1");

impl<'a> BatchNlpAnalysisCompleted<'a> {
    const EVENT: &'static str = "batch.nlp.analysis.completed";

    /// The event, with its timestamp.
    pub fn new(
        batch_id: Uuid,
        succeeded: &'a [Uuid],
        failed: &'a [Uuid],
        processing_time_seconds: f64,
        at: DateTime<Utc>,
    ) -> Self {
        let batch = EntityRef::batch(batch_id);
        let status = OutcomeStatus::from_counts(succeeded.len(), failed.len());
        let lost = status == OutcomeStatus::FailedCritically;
        Self {
            event_name: Self::EVENT,
            subject: batch.into(),
            timestamp: at.into(),
            status,
            system_metadata: SystemMetadata::new(batch, Self::EVENT, at.into()).done(None, lost),
            batch_id,
            processing_summary: ProcessingSummary {
                total_essays: succeeded.len() + failed.len(),
                successful: succeeded.len(),
                failed: failed.len(),
                successful_essay_ids: succeeded,
                failed_essay_ids: failed,
                processing_time_seconds,
            },
        }
    }
}

/// Measurements of one text. Only the number of words is always known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NlpFigures {
    /// Number of words.
    pub words: u32,
    /// Number of sentences.
    pub sentences: Option<u32>,
    /// Words per sentence.
    pub mean_sentence_length: Option<f64>,
    /// The readability index LIX.
    pub lix: Option<f64>,
    /// Distinct words divided by words, 0 to 1.
    pub type_token_ratio: Option<f64>,
    /// Flesch reading ease; English only.
    pub flesch: Option<f64>,
}

/// The nlp worker's report on one essay.
#[derive(Debug, Clone, Copy)]
pub struct NlpReport<'a> {
    /// The essay.
    pub essay_id: Uuid,
    /// Its batch.
    pub batch_id: Uuid,
    /// The storage id of the text that was measured.
    pub text_storage_id: &'a str,
    /// Its language.
    pub language: Language,
    /// The measurements.
    pub figures: NlpFigures,
    /// The processing time in milliseconds.
    pub processing_time_ms: u64,
}

/// The measurements of one essay, on [`Topic::EssayNlpCompleted`](crate::Topic::EssayNlpCompleted). 2026 only.
///
/// LIX, type-token ratio and Flesch have no field in the platform's `NlpMetrics` and are sent in `processing_metadata`, which
/// is an open object. Metrics that are not measured have the model's default, 0. Grammar is not analysed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EssayNlpCompleted<'a> {
    event_name: &'static str,
    #[serde(flatten)]
    subject: Subject,
    timestamp: Timestamp,
    essay_id: Uuid,
    text_storage_id: &'a str,
    nlp_metrics: NlpMetrics,
    grammar_analysis: GrammarAnalysis,
    processing_metadata: ProcessingMetadata,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct NlpMetrics {
    word_count: u32,
    sentence_count: u32,
    #[serde(serialize_with = "finite")]
    avg_sentence_length: f64,
    language_detected: Language,
    processing_time_ms: u64,
    #[serde(flatten)]
    unmeasured: Unmeasured,
}

/// The platform's metrics that need a language model; the companion does not measure them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Unmeasured {
    mean_zipf_frequency: f64,
    percent_tokens_zipf_below_3: f64,
    mtld_score: f64,
    hdd_score: f64,
    mean_dependency_distance: f64,
    phrasal_indices: BTreeMap<&'static str, f64>,
    clausal_indices: BTreeMap<&'static str, f64>,
    first_order_coherence: f64,
    second_order_coherence: f64,
    avg_bigram_pmi: f64,
    avg_trigram_pmi: f64,
    avg_bigram_npmi: f64,
    avg_trigram_npmi: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct GrammarAnalysis {
    error_count: u32,
    errors: [&'static str; 0],
    language: Language,
    processing_time_ms: u64,
    grammar_category_counts: Option<BTreeMap<&'static str, u32>>,
    grammar_rule_counts: Option<BTreeMap<&'static str, u32>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct ProcessingMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    lix: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_token_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flesch_reading_ease: Option<f64>,
    grammar_analysed: bool,
}

payload!(EssayNlpCompleted<'_>, "EssayNlpCompletedV1");

impl<'a> EssayNlpCompleted<'a> {
    /// The event, with its timestamp.
    pub fn new(report: &NlpReport<'a>, at: DateTime<Utc>) -> Self {
        let figures = report.figures;
        Self {
            event_name: "essay.nlp.completed",
            subject: EntityRef::essay(report.essay_id, Some(report.batch_id)).into(),
            timestamp: at.into(),
            essay_id: report.essay_id,
            text_storage_id: report.text_storage_id,
            nlp_metrics: NlpMetrics {
                word_count: figures.words,
                sentence_count: figures.sentences.unwrap_or_default(),
                avg_sentence_length: figures.mean_sentence_length.unwrap_or_default(),
                language_detected: report.language,
                processing_time_ms: report.processing_time_ms,
                unmeasured: Unmeasured::default(),
            },
            grammar_analysis: GrammarAnalysis {
                error_count: 0,
                errors: [],
                language: report.language,
                processing_time_ms: 0,
                grammar_category_counts: None,
                grammar_rule_counts: None,
            },
            processing_metadata: ProcessingMetadata {
                lix: figures.lix.filter(|figure| figure.is_finite()),
                type_token_ratio: figures.type_token_ratio.filter(|figure| figure.is_finite()),
                flesch_reading_ease: figures.flesch.filter(|figure| figure.is_finite()),
                grammar_analysed: false,
            },
        }
    }
}
