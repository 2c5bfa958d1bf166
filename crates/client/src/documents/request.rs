//! The bodies of requests. The server reads a batch field by field instead of into [`BatchRequest`], to report all its errors; a
//! test compares the fields.

use std::collections::BTreeMap;
use std::fmt;

use domain::Phase;
use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use super::schemas;

/// A batch
///
/// Essays that are submitted and processed together.
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchRequest {
    /// The name of the batch, for people; at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The course, which determines the language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course_code: Option<String>,
    /// The language, if no course is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::language))]
    pub language: Option<String>,
    /// The labels, by which batches can be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// The phases to run once the texts are stored, in any order. Missing prerequisites are added. Without phases, the batch waits
    /// for a start request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::phases))]
    pub phases: Option<Vec<Phase>>,
    /// `reject_batch` (default): an invalid essay refuses the whole batch. `skip`: the valid essays are accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_invalid: Option<String>,
    /// Whether the batch is complete. Only `true` (default) is supported yet: all essays are in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<bool>,
    /// The class, passed on to later phases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_designation: Option<String>,
    /// The instructions that the pupils were given, passed on to later phases; at most 20,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub essay_instructions: Option<String>,
    /// The assignment, for comparative judgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment_id: Option<String>,
    /// Not supported yet: store the prompt and send its `prompt_storage_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The storage id of the prompt at the Content Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_storage_id: Option<String>,
    /// The essays, at least one.
    pub essays: Vec<EssayRequest>,
}

/// An essay
///
/// Exactly one of `text` and `text_storage_id` must be given.
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EssayRequest {
    /// The caller's own name for the essay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ref: Option<String>,
    /// The text in UTF-8, not blank, without U+0000. Line ends are stored as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The storage id of a text that the Content Service already has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_storage_id: Option<String>,
}

impl EssayRequest {
    /// An essay with its text, under the caller's name for it.
    pub fn with_text(client_ref: String, text: String) -> Self {
        Self { client_ref: Some(client_ref), text: Some(text), text_storage_id: None }
    }
}

/// Shows neither the text nor the name, which are private.
impl fmt::Debug for EssayRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EssayRequest({} bytes)", self.text.as_ref().map_or(0, String::len))
    }
}

/// An essay to spellcheck
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TriggerRequest {
    /// The text in UTF-8, not blank, without U+0000. Line ends are stored as sent.
    pub text: String,
    /// The language; default: the installation's `default_language`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::language))]
    pub language: Option<String>,
}

/// The phases to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineRequest {
    /// The phases, in any order. Missing prerequisites are added; phases that have succeeded are left out.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::phases))]
    pub phases: Vec<Phase>,
}
