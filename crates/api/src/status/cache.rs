//! Status documents as bytes. A document is a function of (batch, version), so an unchanged batch costs one look-up of its
//! version and nothing else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::{BatchId, BatchStatus};
use quick_cache::Weighter;
use store::StatusRow;

use super::{Held, StatusDocument, Version};
use crate::problem::Problem;
use crate::reply::to_json;

/// Bytes of all documents together.
const CAPACITY: u64 = 32 << 20;

/// Bytes of a usual document with its place in the cache.
const USUAL: u64 = 2 << 10;

/// The latest document of each batch that was asked for lately.
#[derive(Debug)]
pub(crate) struct Cache(quick_cache::sync::Cache<BatchId, Arc<Rendered>, BySize>);

/// A status document ready to be sent.
#[derive(Debug)]
pub(crate) struct Rendered {
    /// What it shows.
    pub(crate) version: Version,
    /// The JSON.
    pub(crate) body: Bytes,
    /// When to ask again; never, once nothing changes by itself.
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Debug, Clone)]
struct BySize;

impl Weighter<BatchId, Arc<Rendered>> for BySize {
    fn weight(&self, _: &BatchId, rendered: &Arc<Rendered>) -> u64 {
        rendered.body.len() as u64 + 128
    }
}

impl Default for Cache {
    fn default() -> Self {
        let items = usize::try_from(CAPACITY / USUAL).unwrap_or(usize::MAX);
        Self(quick_cache::sync::Cache::with_weighter(items, CAPACITY, BySize))
    }
}

impl Cache {
    /// The document of this very version, if it is here.
    pub(crate) fn get(&self, batch: BatchId, version: Version) -> Option<Arc<Rendered>> {
        self.0.get(&batch).filter(|rendered| rendered.version == version)
    }

    /// Renders a document and keeps it in the place of the batch's earlier one.
    pub(crate) fn render(&self, status: &StatusRow, held: Option<Held>) -> Result<Arc<Rendered>, Problem> {
        let batch = &status.row.batch;
        // It may have ended since that was looked for.
        let held = held.filter(|_| !batch.is_ended());
        let rendered = Arc::new(Rendered {
            version: Version { revision: batch.revision, held },
            body: to_json(&StatusDocument::of(status, held))?.into(),
            retry_after: match batch.status() {
                BatchStatus::PendingContent => Some(Duration::from_secs(1)),
                BatchStatus::Ready | BatchStatus::Processing => Some(Duration::from_secs(3)),
                BatchStatus::CompletedSuccessfully
                | BatchStatus::CompletedWithFailures
                | BatchStatus::Failed
                | BatchStatus::Cancelled => None,
            },
        });
        self.0.insert(batch.id, Arc::clone(&rendered));
        Ok(rendered)
    }
}

impl Rendered {
    /// Whether the batch's run is over.
    pub(crate) const fn is_ended(&self) -> bool {
        self.retry_after.is_none()
    }
}
