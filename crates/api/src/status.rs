//! The status of a batch as its owner sees it: one document, its words, and the cache that makes polling cheap.

mod cache;
mod document;
mod sentence;
mod version;

pub(crate) use cache::{Cache, Rendered};
use document::Counts;
pub(crate) use document::StatusDocument;
pub(crate) use version::{Bus, Held, Version};

use domain::BatchId;
use store::{Answer, StatusRow};

use super::revision::etag;

/// The status document as the answer to a command, 202.
pub(crate) fn accepted(row: &StatusRow) -> Answer {
    let document = StatusDocument::of(row, None);
    Answer {
        status: 202,
        // Strings, numbers and lists of them always serialise.
        body: serde_json::to_vec(&document).unwrap_or_default(),
        location: Some(path(row.row.batch.id)),
        etag: Some(etag(row.row.batch.revision)),
    }
}

/// Where the status of a batch is.
pub(crate) fn path(batch: BatchId) -> String {
    format!("/v1/batch/{batch}/status")
}
