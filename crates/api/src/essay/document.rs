//! The document of an essay. It names texts by their storage ids and never contains one.

use chrono::{DateTime, Utc};
use domain::{BatchId, EssayId, EssayState, Phase};
use serde::Serialize;
use serde_json::value::RawValue;
use store::{EssayDetail, EssayPhaseRow};
use utoipa::ToSchema;

use crate::schemas;

/// An essay with all its finished phases.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EssayDocument {
    #[schema(value_type = Uuid)]
    essay_id: EssayId,
    #[schema(value_type = Uuid)]
    batch_id: BatchId,
    /// The position of the essay in its batch, counted from 0.
    position: u16,
    /// The caller's own name for the essay.
    client_ref: Option<String>,
    #[schema(schema_with = schemas::essay_state)]
    state: EssayState,
    /// The latest phase that the essay was part of.
    #[schema(schema_with = schemas::phase_or_null)]
    phase: Option<Phase>,
    /// The attempt of that phase; 0 before the first.
    attempt: u32,
    /// Why the essay failed; null if it did not.
    error_code: Option<String>,
    /// The size of the accepted text, in bytes.
    size_bytes: Option<i64>,
    /// The storage id of the accepted text at the Content Service, once it is stored.
    text_storage_id: Option<String>,
    /// The storage id of the latest text, which the next phase works on.
    current_text_storage_id: Option<String>,
    /// The finished phases of the essay, one entry for each attempt.
    phases: Vec<EssayPhaseDocument>,
}

/// One finished phase of an essay.
#[derive(Debug, Serialize, ToSchema)]
struct EssayPhaseDocument {
    #[schema(schema_with = schemas::phase)]
    phase: Phase,
    attempt: u32,
    #[schema(schema_with = schemas::essay_state)]
    state: EssayState,
    /// The storage id of the text that the phase produced.
    text_storage_id: Option<String>,
    error_code: Option<String>,
    /// The phase's measurements of the essay.
    #[schema(value_type = Option<Object>)]
    figures: Option<Box<RawValue>>,
    ended_at: DateTime<Utc>,
}

impl EssayDocument {
    /// The position of the essay in its batch, counted from 0.
    pub(crate) const fn position(&self) -> u16 {
        self.position
    }
}

impl From<EssayDetail> for EssayDocument {
    fn from(EssayDetail { essay, phases }: EssayDetail) -> Self {
        Self {
            essay_id: essay.essay_id,
            batch_id: essay.essay_id.batch(),
            position: essay.position,
            client_ref: essay.client_ref.map(|name| name.0),
            state: essay.state,
            phase: essay.phase,
            attempt: essay.attempt,
            error_code: essay.error_code,
            size_bytes: essay.size_bytes,
            text_storage_id: essay.text_storage_id.map(Into::into),
            current_text_storage_id: essay.current_text_storage_id.map(Into::into),
            phases: phases.into_iter().map(EssayPhaseDocument::from).collect(),
        }
    }
}

impl From<EssayPhaseRow> for EssayPhaseDocument {
    fn from(row: EssayPhaseRow) -> Self {
        Self {
            phase: row.phase,
            attempt: row.attempt,
            state: row.state,
            text_storage_id: row.text_storage_id.map(Into::into),
            error_code: row.error_code,
            figures: figures(row.figures),
            ended_at: row.ended_at,
        }
    }
}

/// Stored measurements, unchanged; `None` where they are not JSON.
pub(crate) fn figures(json: Option<String>) -> Option<Box<RawValue>> {
    json.and_then(|json| RawValue::from_string(json).ok())
}
