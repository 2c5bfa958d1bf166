//! Sets of words that documents have as text, because only the server knows them all: the codes of problems and the courses.

use utoipa::Modify;
use utoipa::openapi::{OpenApi, RefOr, Schema};

use crate::problem::Code;
use crate::schemas;

/// Adds the words of each set to the description of its fields.
pub(super) struct ClosedSets;

impl Modify for ClosedSets {
    fn modify(&self, description: &mut OpenApi) {
        let codes = schemas::words(Code::ALL.iter().map(|code| code.as_str()));
        for (schema, field, words) in [
            ("Problem", "code", codes.clone()),
            ("Item", "code", codes),
            ("BatchRequest", "course_code", schemas::course_code()),
        ] {
            let Some(components) = &mut description.components else { return };
            let Some(RefOr::T(Schema::Object(schema))) = components.schemas.get_mut(schema) else { continue };
            schema.properties.insert(field.to_owned(), RefOr::T(Schema::Object(words)));
        }
    }
}
