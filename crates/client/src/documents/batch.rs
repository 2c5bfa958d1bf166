//! A batch with its status and its submitted fields.

use std::collections::BTreeMap;

use domain::{Kind, Language, Phase};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::StatusDocument;
#[cfg(feature = "openapi")]
use super::schemas;

/// A batch: its status and its submitted fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchDocument {
    /// All fields of the status document.
    #[serde(flatten)]
    pub status: StatusDocument,
    /// Whether the batch is a class or was made for a single essay.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::kind))]
    pub kind: Kind,
    /// The correlation id of the batch, which its messages and log lines carry.
    pub correlation_id: Uuid,
    /// The language of the essays.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::language))]
    pub language: Language,
    /// The course; null if only a language was given.
    pub course_code: Option<String>,
    /// The labels, by which batches can be listed.
    pub labels: BTreeMap<String, String>,
    /// The requested phases that have not started, in order.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::phases))]
    pub planned: Vec<Phase>,
    /// The class, passed on to later phases.
    pub class_designation: Option<String>,
    /// The instructions that the pupils were given, passed on to later phases.
    pub essay_instructions: Option<String>,
    /// The assignment, for comparative judgement.
    pub assignment_id: Option<String>,
    /// The storage id of the prompt at the Content Service.
    pub prompt_storage_id: Option<String>,
}
