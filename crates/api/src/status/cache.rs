//! The cache of rendered status documents. A document is a function of (batch, version), so a poll of an unchanged batch costs
//! one look-up of its version.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::{BatchId, BatchStatus};
use quick_cache::Weighter;
use store::StatusRow;

use super::{HeldMessages, Version, document};
use crate::problem::Problem;
use crate::reply::to_json;

/// Most bytes in all cached documents together, 32 MiB.
const CAPACITY: u64 = 32 << 20;

/// Estimated bytes of a document with its cache entry, from which the number of entries is derived.
const USUAL: u64 = 2 << 10;

/// The latest document of each batch that was requested recently.
#[derive(Debug)]
pub(crate) struct Cache(quick_cache::sync::Cache<BatchId, Arc<Rendered>, BySize>);

/// A status document as JSON bytes.
#[derive(Debug)]
pub(crate) struct Rendered {
    /// The version that the document shows.
    pub(crate) version: Version,
    /// The JSON bytes.
    pub(crate) body: Bytes,
    /// `Retry-After` for the next poll; `None` once the run has ended, because nothing changes by itself then.
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
    /// The document of exactly this version, if it is cached.
    pub(crate) fn get(&self, batch: BatchId, version: Version) -> Option<Arc<Rendered>> {
        self.0.get(&batch).filter(|rendered| rendered.version == version)
    }

    /// Renders a document and replaces the batch's earlier one in the cache.
    pub(crate) fn render(
        &self,
        status: &StatusRow,
        held: Option<HeldMessages>,
    ) -> Result<Arc<Rendered>, Problem> {
        let batch = &status.row.batch;
        // The batch may have ended after its version was read.
        let held = held.filter(|_| !batch.is_ended());
        let rendered = Arc::new(Rendered {
            version: Version { revision: batch.revision, held },
            body: to_json(&document(status, held))?.into(),
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
    /// Whether the run of the batch has ended.
    pub(crate) const fn is_ended(&self) -> bool {
        self.retry_after.is_none()
    }
}
