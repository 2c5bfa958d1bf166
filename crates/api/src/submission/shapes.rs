//! The shapes of a batch for the API's description. The reader takes a batch member by member (see [`super::header`]), so
//! that all its errors are told; a test compares what it takes with what is described here.

use std::collections::BTreeMap;

use domain::Phase;
use utoipa::ToSchema;

use crate::schemas;

/// A batch
///
/// What is handed in and seen through the phases together.
#[expect(dead_code, reason = "only its shape is of use; a test compares it with what the reader knows")]
#[derive(ToSchema)]
pub(crate) struct BatchRequest {
    /// A name for people, at most 200 characters.
    name: Option<String>,
    /// The course; it settles the language.
    #[schema(schema_with = schemas::course_code)]
    course_code: Option<String>,
    /// The language, where no course is named.
    #[schema(schema_with = schemas::language)]
    language: Option<String>,
    /// Up to 16 labels to find the batch by.
    labels: Option<BTreeMap<String, String>>,
    /// The phases to run once the texts are stored, in any order; missing prerequisites are added. None: start later.
    #[schema(schema_with = schemas::phases)]
    phases: Option<Vec<Phase>>,
    /// `reject_batch` (the default): one unacceptable essay refuses all. `skip`: the others are accepted.
    on_invalid: Option<String>,
    /// Only `true` is taken yet: all essays come at once.
    close: Option<bool>,
    /// The class, for later phases.
    class_designation: Option<String>,
    /// What the essays were to be about, for later phases.
    essay_instructions: Option<String>,
    /// The assignment, for comparative judgement.
    assignment_id: Option<String>,
    /// Not taken yet: store the prompt and give its `prompt_storage_id`.
    prompt: Option<String>,
    /// Where the Content Service has the prompt.
    prompt_storage_id: Option<String>,
    /// At least one, at most 2,000.
    essays: Vec<EssayRequest>,
}

/// An essay
///
/// Exactly one of `text` and `text_storage_id` is given.
#[expect(dead_code, reason = "only its shape is of use; a test compares it with what the reader knows")]
#[derive(ToSchema)]
pub(crate) struct EssayRequest {
    /// The caller's own name for it.
    client_ref: Option<String>,
    /// At most 200 kB of UTF-8, not blank, without U+0000; line ends are kept as sent.
    text: Option<String>,
    /// Where the Content Service has the text already.
    text_storage_id: Option<String>,
}

/// A batch as a form
///
/// Parts with a file name are essays; the file's name without its ending is the `client_ref`.
#[expect(dead_code, reason = "only its shape is of use")]
#[derive(ToSchema)]
pub(crate) struct FormRequest {
    name: Option<String>,
    #[schema(schema_with = schemas::course_code)]
    course_code: Option<String>,
    #[schema(schema_with = schemas::language)]
    language: Option<String>,
    /// Separated by commas, or as a field for each.
    phases: Option<String>,
    on_invalid: Option<String>,
    /// `.txt` or `.md` files as UTF-8.
    #[schema(value_type = Vec<String>, format = Binary)]
    essays: Vec<String>,
}
