//! The result for an essay without a batch: `SpellcheckResultDataV1` of the platform's 2025 generation.
//!
//! The 2026 results require a batch id, and a request for a single essay has none.

use chrono::{DateTime, Utc};
use contract::{Envelope, EssayStatus, ProcessingStage, Source, Timestamp, Topic};
use engine::ports::Record;
use serde::Serialize;
use uuid::Uuid;

use super::{Checked, Request};
use crate::texts::FailureCode;
use crate::wire::{Address, addressed};

const EVENT: &str = "essay.spellcheck.result.received";
/// The event type. On the platform, this topic is the only one whose name differs from its event type.
const EVENT_TYPE: &str = "huleedu.spellchecker.essay.concluded.v1";

#[derive(Serialize)]
struct Result2025<'a> {
    event_name: &'static str,
    entity_ref: Entity,
    timestamp: Timestamp,
    status: EssayStatus,
    system_metadata: System<'a>,
    original_text_storage_id: &'a str,
    storage_metadata: Option<Storage<'a>>,
    corrections_made: Option<u32>,
    /// Not part of the 2025 format, whose readers ignore it; readers of both formats find the word count
    /// here.
    correction_metrics: Option<Metrics>,
}

#[derive(Serialize, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
struct Entity {
    entity_id: Uuid,
    entity_type: &'static str,
    parent_id: Option<Uuid>,
}

#[derive(Serialize)]
struct System<'a> {
    entity: Entity,
    timestamp: Timestamp,
    processing_stage: ProcessingStage,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    event: &'static str,
    error_info: ErrorInfo<'a>,
}

#[derive(Serialize)]
struct ErrorInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
}

#[derive(Serialize)]
struct Storage<'a> {
    references: References<'a>,
}

#[derive(Serialize)]
struct References<'a> {
    corrected_text: Reference<'a>,
}

#[derive(Serialize)]
struct Reference<'a> {
    default: &'a str,
}

#[derive(Serialize)]
struct Metrics {
    total_corrections: u32,
    word_count: u32,
}

/// The result of a request without a batch.
pub(super) fn answer(
    request: &Request,
    checked: &Result<Checked, FailureCode>,
    now: DateTime<Utc>,
) -> Record {
    let to = Address {
        topic: Topic::EssaySpellcheckCompleted,
        source: Source::SpellcheckerService,
        key: request.essay_id,
    };
    let envelope = Envelope {
        event_id: request.cause.event_id(to.topic, ""),
        event_type: EVENT_TYPE,
        event_timestamp: now.into(),
        source_service: to.source,
        schema_version: 1,
        correlation_id: request.cause.correlation_id,
        data_schema_uri: None,
        data: result(request, checked, now.into()),
        metadata: None,
    };
    let value = serde_json::to_vec(&envelope).unwrap_or_default();
    addressed(to, &envelope, value, &request.cause)
}

fn result<'a>(
    request: &'a Request,
    checked: &'a Result<Checked, FailureCode>,
    now: Timestamp,
) -> Result2025<'a> {
    let entity = Entity { entity_id: request.essay_id, entity_type: "essay", parent_id: None };
    let done = checked.as_ref().ok();
    let (status, stage) = match checked {
        Ok(_) => (EssayStatus::SpellcheckedSuccess, ProcessingStage::Completed),
        Err(_) => (EssayStatus::SpellcheckFailed, ProcessingStage::Failed),
    };
    Result2025 {
        event_name: EVENT,
        entity_ref: entity,
        timestamp: now,
        status,
        system_metadata: System {
            entity,
            timestamp: now,
            processing_stage: stage,
            started_at: None,
            completed_at: Some(now),
            event: EVENT,
            error_info: ErrorInfo { error_code: checked.as_ref().err().copied() },
        },
        original_text_storage_id: &request.text_storage_id,
        storage_metadata: done.map(|done| Storage {
            references: References { corrected_text: Reference { default: &done.corrected_text_storage_id } },
        }),
        corrections_made: done.map(|done| done.corrections),
        correction_metrics: done
            .map(|done| Metrics { total_corrections: done.corrections, word_count: done.words }),
    }
}
