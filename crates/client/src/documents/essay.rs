//! An essay. It names texts by their storage ids and never contains one.

use chrono::{DateTime, Utc};
use domain::{BatchId, EssayId, EssayState, Phase};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[cfg(feature = "openapi")]
use super::schemas;

/// An essay with all its finished phases.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EssayDocument {
    /// The id of the essay.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub essay_id: EssayId,
    /// The id of the essay's batch.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub batch_id: BatchId,
    /// The position of the essay in its batch, counted from 0.
    pub position: u16,
    /// The caller's own name for the essay.
    pub client_ref: Option<String>,
    /// The state of the essay.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::essay_state))]
    pub state: EssayState,
    /// The latest phase that the essay was part of.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::phase_or_null))]
    pub phase: Option<Phase>,
    /// The attempt of that phase; 0 before the first.
    pub attempt: u32,
    /// Why the essay failed; null if it did not.
    pub error_code: Option<String>,
    /// The size of the accepted text, in bytes.
    pub size_bytes: Option<i64>,
    /// The storage id of the accepted text at the Content Service, once it is stored.
    pub text_storage_id: Option<String>,
    /// The storage id of the latest text, which the next phase works on.
    pub current_text_storage_id: Option<String>,
    /// The finished phases of the essay, one entry for each attempt.
    pub phases: Vec<EssayPhaseDocument>,
}

/// One finished phase of an essay.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EssayPhaseDocument {
    /// The phase that has ended for the essay.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::phase))]
    pub phase: Phase,
    /// The attempt, counted from 1.
    pub attempt: u32,
    /// The result of the phase: `succeeded`, `failed` or `cancelled`.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::essay_state))]
    pub state: EssayState,
    /// The storage id of the text that the phase produced.
    pub text_storage_id: Option<String>,
    /// Why the essay failed in the phase; null if it did not.
    pub error_code: Option<String>,
    /// The phase's measurements of the essay.
    // Raw: the server passes on what the phase reported, without parsing it.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub figures: Option<Box<RawValue>>,
    /// When the phase ended for the essay.
    pub ended_at: DateTime<Utc>,
}

impl EssayDocument {
    /// The caller's name for the essay; its id if it has none.
    pub fn name(&self) -> String {
        self.client_ref.clone().unwrap_or_else(|| self.essay_id.to_string())
    }
}
