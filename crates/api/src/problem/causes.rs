//! Conversions from errors of the domain, the store and the engine to problems.

use std::error::Error as _;
use std::time::Duration;

use domain::{Refusal, Verb};

use super::{Code, Problem, sentence};

/// The verbs that this version offers over HTTP. Refusals name only these as possible.
const OFFERED: &[Verb] = &[Verb::Start];

impl From<Refusal> for Problem {
    /// Refusal codes are problem codes; the detail names the state of the batch and what is possible in it.
    fn from(refusal: Refusal) -> Self {
        let code = refusal.code().parse().unwrap_or(Code::WrongStage);
        Self::new(code, sentence(&refusal.among(OFFERED).to_string()))
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match &error {
            store::Error::Conflict { .. } => {
                tracing::info!(%error, "a request conflicted with another change");
                let detail = "Another change blocked this one for too long; send the same request again.";
                Self::new(Code::IdempotencyInProgress, detail)
            }
            store::Error::Unavailable { .. }
            | store::Error::Full { .. }
            | store::Error::Refused { .. }
            | store::Error::Damaged { .. }
            | store::Error::Unfit { .. } => {
                tracing::warn!(%error, code = error.code(), "the store cannot serve a request");
                let detail = "The database is unavailable; nothing was stored. Send the same request again.";
                Self::new(Code::Unavailable, detail).with_retry_after(Duration::from_secs(2))
            }
            store::Error::Corrupt { .. } | store::Error::Rejected { .. } | store::Error::Defect { .. } => {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(%error, cause, "the store failed a request");
                Self::new(Code::Internal, "Internal error; the service's log has the details.")
            }
        }
    }
}

impl From<engine::Error> for Problem {
    fn from(error: engine::Error) -> Self {
        match error {
            engine::Error::NotFound => {
                Self::new(Code::UnknownBatch, "The batch does not exist; GET /v1/batch lists your batches.")
            }
            engine::Error::Refused(refusal) => refusal.into(),
            engine::Error::KeyReused => {
                let detail =
                    "The Idempotency-Key was used for another request; use a new key for a new request.";
                Self::new(Code::IdempotencyKeyReused, detail)
            }
            engine::Error::BacklogFull { what } => {
                let detail = format!("The backlog of {what} has reached its limit; nothing was stored.");
                Self::new(Code::BacklogFull, detail)
            }
            engine::Error::Store(error) => error.into(),
            engine::Error::Unwritable | engine::Error::Crashed => {
                tracing::error!(%error, "the engine failed a request");
                Self::new(Code::Internal, "Internal error; the service's log has the details.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{Phase, PhaseSet};

    use super::*;

    #[test]
    fn every_refusal_becomes_a_problem_with_the_same_code() {
        let refusals = [
            Refusal::UnknownBatch,
            Refusal::AlreadyExists,
            Refusal::NoEssays,
            Refusal::NoPhases,
            Refusal::DuplicatePhase { phase: Phase::Nlp },
            Refusal::PhaseNotServed { phase: Phase::Nlp, served: PhaseSet::ALL },
            Refusal::SingleEssay { phase: Phase::Nlp },
            Refusal::AlreadyDone { phases: vec![Phase::Nlp] },
            Refusal::NeighbourCannotRetry { phase: Phase::Nlp },
            Refusal::NothingToRetry { phase: Phase::Nlp },
            Refusal::TooEarly { revision: 3 },
        ];
        for refusal in refusals {
            let code = refusal.code();
            assert_eq!(Problem::from(refusal).code().as_str(), code);
        }
        for code in ["already_running", "batch_ended", "not_open", "wrong_stage"] {
            assert!(code.parse::<Code>().is_ok(), "{code}");
        }
    }
}
