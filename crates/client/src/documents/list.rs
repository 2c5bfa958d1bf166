//! The list of batches.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{BatchId, BatchStatus, Kind};
use serde::{Deserialize, Serialize};

use super::Page;
#[cfg(feature = "openapi")]
use super::schemas;

/// A page of batches.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchPage {
    /// The batches of the page, with the cursor of the next page.
    #[serde(flatten)]
    pub page: Page<BatchSummary>,
    /// The number of batches of each status that match the filter, over all pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<BTreeMap<String, i64>>,
}

/// A batch in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Summary))]
pub struct BatchSummary {
    /// The id of the batch.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub batch_id: BatchId,
    /// The name of the batch, as submitted.
    pub name: Option<String>,
    /// Whether the batch is a class or was made for a single essay.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::kind))]
    pub kind: Kind,
    /// The status of the batch.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::batch_status))]
    pub status: BatchStatus,
    /// The revision, which increases with every change.
    pub revision: i64,
    /// Whether the batch needs the attention of a person.
    pub needs_attention: bool,
    /// Whether the batch is paused.
    pub paused: bool,
    /// The number of essays of the batch.
    pub essays: EssayTotals,
    /// When the batch was accepted.
    pub created_at: DateTime<Utc>,
    /// When the batch changed last.
    pub updated_at: DateTime<Utc>,
    /// When the latest run ended; null while it has not.
    pub ended_at: Option<DateTime<Utc>>,
}

/// The number of essays of a batch.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EssayTotals {
    /// All essays of the batch.
    pub total: u32,
    /// Succeeded in all requested phases.
    pub succeeded: u32,
    /// Failed in a phase, or the text was refused.
    pub failed: u32,
}
