//! Parts that several payloads share.

use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::status::ProcessingStage;
use crate::strings::StorageId;
use crate::time::Timestamp;

/// An essay and the id of its text.
///
/// `student_name` and `spellcheck_metrics` are always written as null. Names are never sent, because they cannot be erased from
/// a topic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EssayRef {
    /// The essay.
    pub essay_id: Uuid,
    /// The Content Service's id of its text: 1 to 128 of `0-9 A-Z a-z _ -`.
    #[serde(deserialize_with = "StorageId::into_string")]
    pub text_storage_id: String,
}

impl Serialize for EssayRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut essay = serializer.serialize_struct("EssayRef", 4)?;
        essay.serialize_field("essay_id", &self.essay_id)?;
        essay.serialize_field("text_storage_id", &self.text_storage_id)?;
        essay.serialize_field("student_name", &None::<&str>)?;
        essay.serialize_field("spellcheck_metrics", &None::<&str>)?;
        essay.end()
    }
}

/// A free text about a class. It is serialized, and never shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Private(String);

impl From<String> for Private {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Private {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

/// The essay or batch that a payload is about, as one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct EntityRef {
    entity_id: Uuid,
    entity_type: &'static str,
    parent_id: Option<Uuid>,
}

impl EntityRef {
    pub(crate) const fn batch(batch_id: Uuid) -> Self {
        Self { entity_id: batch_id, entity_type: "batch", parent_id: None }
    }

    pub(crate) const fn essay(essay_id: Uuid, batch_id: Option<Uuid>) -> Self {
        Self { entity_id: essay_id, entity_type: "essay", parent_id: batch_id }
    }
}

/// The essay or batch that a payload is about, twice: as the object that 2025 reads, and as the flat fields that 2026 reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Subject {
    entity_ref: EntityRef,
    #[serde(flatten)]
    flat: EntityRef,
}

impl From<EntityRef> for Subject {
    fn from(entity: EntityRef) -> Self {
        Self { entity_ref: entity, flat: entity }
    }
}

/// `system_metadata`, with the entity twice as in [`Subject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct SystemMetadata<'a> {
    entity: EntityRef,
    #[serde(flatten)]
    flat: EntityRef,
    timestamp: Timestamp,
    processing_stage: Option<ProcessingStage>,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    event: &'static str,
    error_info: ErrorInfo<'a>,
}

/// `error_info`: `{}` where nothing failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct ErrorInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
}

impl<'a> SystemMetadata<'a> {
    /// The metadata of an event at `at`, with no processing stage.
    pub(crate) fn new(entity: EntityRef, event: &'static str, at: Timestamp) -> Self {
        Self {
            entity,
            flat: entity,
            timestamp: at,
            processing_stage: None,
            started_at: None,
            completed_at: None,
            event,
            error_info: ErrorInfo::default(),
        }
    }

    /// The same, in the stage `pending`.
    pub(crate) fn pending(self) -> Self {
        Self { processing_stage: Some(ProcessingStage::Pending), ..self }
    }

    /// The same, in the stage `completed` or `failed`, with the error code if there is one.
    pub(crate) fn done(self, error_code: Option<&'a str>, failed: bool) -> Self {
        let stage = if failed { ProcessingStage::Failed } else { ProcessingStage::Completed };
        Self {
            processing_stage: Some(stage),
            completed_at: Some(self.timestamp),
            error_info: ErrorInfo { error_code },
            ..self
        }
    }
}

/// `student_prompt_ref`: the storage id of the students' assignment text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct PromptRef<'a> {
    references: PromptReferences<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct PromptReferences<'a> {
    student_prompt_text: PromptText<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct PromptText<'a> {
    storage_id: &'a str,
    path: &'static str,
}

impl<'a> PromptRef<'a> {
    pub(crate) const fn new(storage_id: &'a str) -> Self {
        Self { references: PromptReferences { student_prompt_text: PromptText { storage_id, path: "" } } }
    }
}

/// For `serialize_with`: writes 0 for NaN and infinity, which JSON cannot represent where a model requires a number.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serialize_with calls")]
pub(crate) fn finite<S: Serializer>(figure: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(if figure.is_finite() { *figure } else { 0.0 })
}
