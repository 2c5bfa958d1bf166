//! The content of a request, to which an Idempotency-Key is bound: what was sent, apart from how it was written.
//!
//! The order of JSON members, blanks, escapes, the boundary of a form and the format itself are no part of it.

use sha2::{Digest as _, Sha256};

use super::Draft;
use crate::essay_file::unmarked;

/// Collects named values. Absent values are left out, so `null` and a missing member are the same.
#[derive(Debug, Default)]
pub(crate) struct Content(Sha256);

impl Content {
    /// Adds a value. Values of one name are in order.
    pub(crate) fn add(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        for piece in [name, value] {
            self.0.update((piece.len() as u64).to_be_bytes());
            self.0.update(piece);
        }
    }

    /// The digest of all values.
    pub(crate) fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// The content of a batch.
    pub(super) fn of(draft: &Draft) -> Self {
        let mut content = Self::default();
        let header = &draft.header;
        let fields = [
            ("name", &header.name),
            ("course_code", &header.course_code),
            ("language", &header.language),
            ("on_invalid", &header.on_invalid),
            ("class_designation", &header.class_designation),
            ("essay_instructions", &header.essay_instructions),
            ("assignment_id", &header.assignment_id),
            ("prompt_storage_id", &header.prompt_storage_id),
        ];
        for (name, value) in fields {
            content.add(name, value.as_deref());
        }
        let mut labels: Vec<&(String, String)> = header.labels.iter().collect();
        labels.sort_unstable();
        for (key, value) in labels {
            content.add("label", Some(key));
            content.add("value", Some(value));
        }
        for (_, phase) in &header.phases {
            content.add("phase", Some(phase));
        }
        for essay in &draft.essays {
            content.add("essay", Some(""));
            content.add("client_ref", essay.client_ref.as_deref());
            content.add("text", essay.text.as_deref().map(unmarked));
            content.add("text_storage_id", essay.text_storage_id.as_deref());
        }
        content
    }
}
