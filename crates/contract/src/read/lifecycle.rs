//! The lifecycle service's answer to `GET /v1/batches/{id}/status`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ReadError;
use crate::status::{EssayStatus, PhaseName};

/// The number of essays of a batch in each status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct EssayStatuses {
    #[serde(rename = "status_breakdown")]
    counts: BTreeMap<String, u32>,
}

/// Where the essays of a batch are, seen from one phase, in numbers of essays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PhaseProgress {
    /// Essays in an entry status of the phase, from which a command moves them.
    pub ready: u32,
    /// Essays that a service still works on, in this phase or before it; essays in an unknown status count as such.
    pub unfinished: u32,
    /// Essays in a final status of the phase.
    pub finished: u32,
}

impl FromIterator<(String, u32)> for EssayStatuses {
    fn from_iter<I: IntoIterator<Item = (String, u32)>>(counts: I) -> Self {
        Self { counts: counts.into_iter().collect() }
    }
}

impl EssayStatuses {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`ReadError::NotAnEnvelope`] when it is not an object with `status_breakdown`.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        serde_json::from_slice(bytes).map_err(|_| ReadError::NotAnEnvelope)
    }

    /// The number of essays in each status.
    pub const fn counts(&self) -> &BTreeMap<String, u32> {
        &self.counts
    }

    /// Where the essays are, seen from `phase`.
    pub fn progress(&self, phase: PhaseName) -> PhaseProgress {
        let mut progress = PhaseProgress::default();
        for (status, essays) in &self.counts {
            match status.parse::<EssayStatus>().map_or(Place::Unfinished, |status| place(status, phase)) {
                Place::Ready => progress.ready += essays,
                Place::Unfinished => progress.unfinished += essays,
                Place::Finished => progress.finished += essays,
                Place::Elsewhere => {}
            }
        }
        progress
    }
}

enum Place {
    Ready,
    Unfinished,
    Finished,
    /// In a final status of another phase, from which no command leads into this one.
    Elsewhere,
}

/// The place of an essay, by the state machine of the lifecycle service of 2026.
fn place(status: EssayStatus, phase: PhaseName) -> Place {
    use EssayStatus as S;
    use PhaseName as P;
    match (status, phase) {
        (S::ReadyForProcessing, P::Spellcheck)
        | (S::SpellcheckedSuccess, P::Nlp | P::AiFeedback | P::CjAssessment)
        | (S::AiFeedbackSuccess, P::Nlp | P::CjAssessment)
        | (S::NlpSuccess, P::AiFeedback | P::CjAssessment) => Place::Ready,
        (S::SpellcheckedSuccess | S::SpellcheckFailed, P::Spellcheck)
        | (S::NlpSuccess | S::NlpFailed, P::Nlp)
        | (S::AiFeedbackSuccess | S::AiFeedbackFailed, P::AiFeedback)
        | (S::CjAssessmentSuccess | S::CjAssessmentFailed, P::CjAssessment) => Place::Finished,
        (
            S::ReadyForProcessing
            | S::AwaitingSpellcheck
            | S::SpellcheckingInProgress
            | S::AwaitingNlp
            | S::NlpInProgress
            | S::AwaitingAiFeedback
            | S::AiFeedbackInProgress
            | S::AwaitingCjAssessment
            | S::CjAssessmentInProgress,
            _,
        ) => Place::Unfinished,
        (
            S::SpellcheckedSuccess
            | S::SpellcheckFailed
            | S::NlpSuccess
            | S::NlpFailed
            | S::AiFeedbackSuccess
            | S::AiFeedbackFailed
            | S::CjAssessmentSuccess
            | S::CjAssessmentFailed
            | S::EssayCriticalFailure,
            _,
        ) => Place::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(phase: PhaseName, json: &str) -> (u32, u32, u32) {
        let PhaseProgress { ready, unfinished, finished } =
            EssayStatuses::read(json.as_bytes()).unwrap().progress(phase);
        (ready, unfinished, finished)
    }

    #[test]
    fn essays_are_counted_by_where_a_command_would_find_them() {
        let json = r#"{ "batch_id": "x", "total_essays": 15, "completion_percentage": 40.0, "status_breakdown": {
            "ready_for_processing": 1, "awaiting_spellcheck": 2, "spellchecked_success": 4, "spellcheck_failed": 8 } }"#;
        assert_eq!(progress(PhaseName::Spellcheck, json), (1, 2, 12));
        // A command for nlp would move four; three others are not through the phase before.
        assert_eq!(progress(PhaseName::Nlp, json), (4, 3, 0));
    }

    #[test]
    fn an_unknown_status_is_unfinished_and_anything_else_is_not_an_answer() {
        let json = r#"{ "status_breakdown": { "nlp_success": 2, "nlp_failed": 1, "content_ingesting": 4 } }"#;
        assert_eq!(progress(PhaseName::Nlp, json), (0, 4, 3));
        for nonsense in ["", "[]", "{}", r#"{ "status_breakdown": { "nlp_success": -1 } }"#, "<html>"] {
            assert_eq!(EssayStatuses::read(nonsense.as_bytes()), Err(ReadError::NotAnEnvelope), "{nonsense}");
        }
    }
}
