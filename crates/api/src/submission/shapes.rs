//! The schemas of a submission for the OpenAPI description. The parser reads a batch member by member (see [`super::header`]) to
//! report all its errors, so these types are not used to parse; a test compares them with the fields that the parser accepts.

use std::collections::BTreeMap;

use domain::Phase;
use utoipa::ToSchema;

use crate::schemas;

/// A batch
///
/// Essays that are submitted and processed together.
#[expect(dead_code, reason = "describes a schema; a test compares it with what the parser accepts")]
#[derive(ToSchema)]
pub(crate) struct BatchRequest {
    /// The name of the batch, for people; at most 200 characters.
    name: Option<String>,
    /// The course, which determines the language.
    #[schema(schema_with = schemas::course_code)]
    course_code: Option<String>,
    /// The language, if no course is given.
    #[schema(schema_with = schemas::language)]
    language: Option<String>,
    /// The labels, by which batches can be listed.
    labels: Option<BTreeMap<String, String>>,
    /// The phases to run once the texts are stored, in any order. Missing prerequisites are added. Without phases, the batch waits
    /// for a start request.
    #[schema(schema_with = schemas::phases)]
    phases: Option<Vec<Phase>>,
    /// `reject_batch` (default): an invalid essay refuses the whole batch. `skip`: the valid essays are accepted.
    on_invalid: Option<String>,
    /// Whether the batch is complete. Only `true` (default) is supported yet: all essays are in the request.
    close: Option<bool>,
    /// The class, passed on to later phases.
    class_designation: Option<String>,
    /// The instructions that the pupils were given, passed on to later phases; at most 20,000 characters.
    essay_instructions: Option<String>,
    /// The assignment, for comparative judgement.
    assignment_id: Option<String>,
    /// Not supported yet: store the prompt and send its `prompt_storage_id`.
    prompt: Option<String>,
    /// The storage id of the prompt at the Content Service.
    prompt_storage_id: Option<String>,
    /// The essays, at least one.
    essays: Vec<EssayRequest>,
}

/// An essay
///
/// Exactly one of `text` and `text_storage_id` must be given.
#[expect(dead_code, reason = "describes a schema; a test compares it with what the parser accepts")]
#[derive(ToSchema)]
pub(crate) struct EssayRequest {
    /// The caller's own name for the essay.
    client_ref: Option<String>,
    /// The text in UTF-8, not blank, without U+0000. Line ends are stored as sent.
    text: Option<String>,
    /// The storage id of a text that the Content Service already has.
    text_storage_id: Option<String>,
}

/// A batch as a form
///
/// Parts with a file name are essays. The file name without its extension is the `client_ref`.
#[expect(dead_code, reason = "describes a schema")]
#[derive(ToSchema)]
pub(crate) struct FormRequest {
    name: Option<String>,
    #[schema(schema_with = schemas::course_code)]
    course_code: Option<String>,
    #[schema(schema_with = schemas::language)]
    language: Option<String>,
    /// Separated by commas, or in several fields.
    phases: Option<String>,
    on_invalid: Option<String>,
    /// `.txt` or `.md` files in UTF-8.
    #[schema(value_type = Vec<String>, format = Binary)]
    essays: Vec<String>,
}
