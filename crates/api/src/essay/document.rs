//! How the document of an essay is made.

use client::documents::{EssayDocument, EssayPhaseDocument};
use serde_json::value::RawValue;
use store::{EssayDetail, EssayPhaseRow};

/// The document of an essay.
pub(crate) fn document(EssayDetail { essay, phases }: EssayDetail) -> EssayDocument {
    EssayDocument {
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
        phases: phases.into_iter().map(phase).collect(),
    }
}

fn phase(row: EssayPhaseRow) -> EssayPhaseDocument {
    EssayPhaseDocument {
        phase: row.phase,
        attempt: row.attempt,
        state: row.state,
        text_storage_id: row.text_storage_id.map(Into::into),
        error_code: row.error_code,
        figures: figures(row.figures),
        ended_at: row.ended_at,
    }
}

/// Stored measurements, unchanged; `None` where they are not JSON.
fn figures(json: Option<String>) -> Option<Box<RawValue>> {
    json.and_then(|json| RawValue::from_string(json).ok())
}
