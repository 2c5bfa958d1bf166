//! The results of a batch, a line for each essay.

use domain::{EssayId, EssayState, Phase};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[cfg(feature = "openapi")]
use super::schemas;
use super::{EssayDocument, EssayPhaseDocument};

/// The result of an essay.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResultLine {
    /// The id of the essay.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub essay_id: EssayId,
    /// The position of the essay in its batch, counted from 0.
    pub position: u16,
    /// The caller's own name for the essay.
    pub client_ref: Option<String>,
    /// The state of the essay.
    #[cfg_attr(feature = "openapi", schema(schema_with = schemas::essay_state))]
    pub state: EssayState,
    /// Why the essay failed; null if it did not.
    pub error_code: Option<String>,
    /// The storage id of the accepted text at the Content Service.
    pub original_text_storage_id: Option<String>,
    /// The storage id of the latest text.
    pub text_storage_id: Option<String>,
    /// The latest result of each phase.
    pub phases: Vec<PhaseLine>,
}

/// The latest result of a phase for an essay.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PhaseLine {
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
}

/// The measurements that clients read. Each phase makes some of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Words in the text.
    pub words: Option<u64>,
    /// Corrected words.
    pub corrections: Option<u64>,
    /// The readability index LIX.
    pub lix: Option<f64>,
}

impl ResultLine {
    /// The caller's name for the essay; its id if it has none.
    pub fn name(&self) -> String {
        self.client_ref.clone().unwrap_or_else(|| self.essay_id.to_string())
    }

    /// A figure from the latest phase that measured it.
    pub fn figure<T>(&self, of: impl Fn(&Figures) -> Option<T>) -> Option<T> {
        self.phases.iter().rev().find_map(|phase| of(&phase.figures()?))
    }

    /// The storage ids of the accepted and the corrected text; `None` before a spellcheck produced one.
    pub fn texts(&self) -> Option<(&str, &str)> {
        let corrected = self.phases.iter().rev().find(|phase| phase.phase == Phase::Spellcheck)?;
        Some((self.original_text_storage_id.as_deref()?, corrected.text_storage_id.as_deref()?))
    }
}

impl PhaseLine {
    /// The measurements; `None` if there are none, or if they are of another form.
    fn figures(&self) -> Option<Figures> {
        serde_json::from_str(self.figures.as_ref()?.get()).ok()
    }
}

/// The line of an essay in the results of its batch.
impl From<EssayDocument> for ResultLine {
    fn from(essay: EssayDocument) -> Self {
        let mut phases: Vec<PhaseLine> = Vec::new();
        for phase in essay.phases {
            phases.retain(|earlier| earlier.phase != phase.phase);
            phases.push(phase.into());
        }
        Self {
            essay_id: essay.essay_id,
            position: essay.position,
            client_ref: essay.client_ref,
            state: essay.state,
            error_code: essay.error_code,
            original_text_storage_id: essay.text_storage_id,
            text_storage_id: essay.current_text_storage_id,
            phases,
        }
    }
}

impl From<EssayPhaseDocument> for PhaseLine {
    fn from(phase: EssayPhaseDocument) -> Self {
        let EssayPhaseDocument { phase, attempt, state, text_storage_id, error_code, figures, ended_at: _ } =
            phase;
        Self { phase, attempt, state, text_storage_id, error_code, figures }
    }
}

#[cfg(test)]
mod tests {
    use super::{EssayDocument, ResultLine};

    #[test]
    fn the_line_of_an_essay_has_the_latest_attempt_at_each_phase() {
        let phase = |phase: &str, attempt: u32, words: u32| {
            serde_json::json!({"phase": phase, "attempt": attempt, "state": "succeeded", "text_storage_id": null,
                "error_code": null, "figures": {"words": words}, "ended_at": "2026-01-01T00:00:00Z"})
        };
        let essay: EssayDocument = serde_json::from_value(serde_json::json!({
            "essay_id": "01970000-0000-7000-8000-000000000001", "batch_id": "01970000-0000-7000-8000-000000000000",
            "position": 0, "client_ref": null, "state": "succeeded", "phase": "nlp", "attempt": 2, "error_code": null,
            "size_bytes": 4, "text_storage_id": "a", "current_text_storage_id": "b",
            "phases": [phase("spellcheck", 1, 1), phase("nlp", 1, 2), phase("nlp", 2, 3)],
        }))
        .unwrap();
        let line = ResultLine::from(essay);
        let attempts: Vec<_> =
            line.phases.iter().map(|phase| (phase.phase.as_str(), phase.attempt)).collect();
        assert_eq!(attempts, [("spellcheck", 1), ("nlp", 2)]);
        assert_eq!(line.figure(|figures| figures.words), Some(3));
        assert_eq!(
            (line.original_text_storage_id.as_deref(), line.text_storage_id.as_deref()),
            (Some("a"), Some("b"))
        );
        assert_eq!(line.name(), "01970000-0000-7000-8000-000000000001");
    }
}
