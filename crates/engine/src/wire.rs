//! Translation between the platform's messages (`contract`) and the words of the rules (`domain`). No other file uses both.

pub(crate) mod from;
pub(crate) mod to;

pub use from::{Expectation, courses, expected_evidence};

use contract::PhaseName;
use domain::Phase;

fn phase_name(phase: Phase) -> PhaseName {
    match phase {
        Phase::Spellcheck => PhaseName::Spellcheck,
        Phase::Nlp => PhaseName::Nlp,
        Phase::AiFeedback => PhaseName::AiFeedback,
        Phase::CjAssessment => PhaseName::CjAssessment,
    }
}
