//! An essay as its owner sees it. Texts are named by their storage ids and never shown.

use chrono::{DateTime, Utc};
use domain::{BatchId, EssayId, EssayState, Phase};
use serde::Serialize;
use serde_json::value::RawValue;
use store::{EssayDetail, EssayPhaseRow};
use utoipa::ToSchema;

use crate::schemas;

/// An essay with everything that ended for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EssayDocument {
    #[schema(value_type = Uuid)]
    essay_id: EssayId,
    #[schema(value_type = Uuid)]
    batch_id: BatchId,
    /// Where it stood in its batch, counted from 0.
    position: u16,
    /// The caller's own name for it.
    client_ref: Option<String>,
    #[schema(schema_with = schemas::essay_state)]
    state: EssayState,
    /// The phase that it was last part of.
    #[schema(schema_with = schemas::phase_or_null)]
    phase: Option<Phase>,
    /// The attempt at that phase; 0 before the first.
    attempt: u32,
    /// Why it failed.
    error_code: Option<String>,
    /// Bytes of the text as accepted.
    size_bytes: Option<i64>,
    /// Where the Content Service has the text as accepted, once it is stored.
    text_storage_id: Option<String>,
    /// The latest text: what the next phase works on.
    current_text_storage_id: Option<String>,
    /// Its finished phases, each attempt.
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
    /// The text that the phase made.
    text_storage_id: Option<String>,
    error_code: Option<String>,
    /// The phase's figures about the essay.
    #[schema(value_type = Option<Object>)]
    figures: Option<Box<RawValue>>,
    ended_at: DateTime<Utc>,
}

impl EssayDocument {
    /// Where it stood in its batch, counted from 0.
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

/// Stored figures as they are; what is no JSON is left out.
pub(crate) fn figures(json: Option<String>) -> Option<Box<RawValue>> {
    json.and_then(|json| RawValue::from_string(json).ok())
}
