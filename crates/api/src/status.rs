//! The status document of a batch, its sentence, its version, and the cache of rendered documents.

mod cache;
mod document;
mod sentence;
mod version;

pub(crate) use cache::{Cache, Rendered};
pub(crate) use document::document;
pub(crate) use version::{BusAvailability, HeldMessages, Version};

use domain::BatchId;
use store::{Answer, StatusRow};

use super::revision::etag;

/// The answer to a command: 202 with the status document.
pub(crate) fn accepted(row: &StatusRow) -> Answer {
    let document = document(row, None);
    Answer {
        status: 202,
        // Strings, numbers and lists always serialize.
        body: serde_json::to_vec(&document).unwrap_or_default(),
        location: Some(path(row.row.batch.id)),
        etag: Some(etag(row.row.batch.revision)),
    }
}

/// The path of a batch's status.
pub(crate) fn path(batch: BatchId) -> String {
    format!("/v1/batch/{batch}/status")
}
