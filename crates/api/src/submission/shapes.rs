//! The schema of a submission as a form, for the OpenAPI description. A form is not JSON, so no document can be read from it or
//! written to it. The schema of a submission as JSON is `client::documents::BatchRequest`.

use utoipa::ToSchema;

use crate::schemas;

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
