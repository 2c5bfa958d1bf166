//! What the simulated lifecycle service knows about the essays of a batch.
//!
//! It keeps the status of each essay and no record of commands. It deals with results of the workers in its own time, and
//! with each it reports all essays of the phase, unless one of them is unfinished.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use contract::{EssayStatus, EssayStatuses, PhaseName};
use engine::ports::{LifecycleError, LifecycleStatus};
use uuid::Uuid;

use crate::chance::{Chance, Fault};

/// Where an essay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Ready,
    Waiting(PhaseName),
    Done(PhaseName, bool),
}

impl Place {
    /// Whether a command for the phase moves the essay.
    pub(super) fn is_entry_of(self, phase: PhaseName) -> bool {
        match self {
            Self::Ready => phase == PhaseName::Spellcheck,
            Self::Done(before, true) => before != phase && before < phase,
            Self::Waiting(_) | Self::Done(_, false) => false,
        }
    }

    /// Whether the essay is in the phase, finished or not.
    pub(super) fn is_in(self, phase: PhaseName) -> bool {
        matches!(self, Self::Waiting(of) | Self::Done(of, _) if of == phase)
    }

    fn status(self) -> EssayStatus {
        use EssayStatus as S;
        use PhaseName as P;
        match self {
            Self::Ready => S::ReadyForProcessing,
            Self::Waiting(P::Spellcheck) => S::AwaitingSpellcheck,
            Self::Waiting(P::Nlp) => S::AwaitingNlp,
            Self::Waiting(P::AiFeedback) => S::AwaitingAiFeedback,
            Self::Waiting(P::CjAssessment | P::StudentMatching) => S::AwaitingCjAssessment,
            Self::Done(P::Spellcheck, true) => S::SpellcheckedSuccess,
            Self::Done(P::Spellcheck, false) => S::SpellcheckFailed,
            Self::Done(P::Nlp, true) => S::NlpSuccess,
            Self::Done(P::Nlp, false) => S::NlpFailed,
            Self::Done(P::AiFeedback, true) => S::AiFeedbackSuccess,
            Self::Done(P::AiFeedback, false) => S::AiFeedbackFailed,
            Self::Done(P::CjAssessment | P::StudentMatching, true) => S::CjAssessmentSuccess,
            Self::Done(P::CjAssessment | P::StudentMatching, false) => S::CjAssessmentFailed,
        }
    }
}

/// An essay with its text for the next phase.
#[derive(Debug, Clone)]
pub(super) struct Essay {
    pub(super) place: Place,
    pub(super) text: String,
}

/// A worker's result that the lifecycle service has not dealt with.
#[derive(Debug)]
pub(super) struct Unheard {
    pub(super) cause: (Uuid, Uuid),
    pub(super) batch: Uuid,
    pub(super) essay: Uuid,
    pub(super) phase: PhaseName,
    pub(super) succeeded: bool,
}

/// The statuses of all essays, as the lifecycle service answers them.
#[derive(Debug, Clone)]
pub struct Statuses {
    chance: Chance,
    counts: Arc<Mutex<BTreeMap<Uuid, BTreeMap<String, u32>>>>,
}

impl Statuses {
    /// No batch is known.
    pub fn new(chance: Chance) -> Self {
        Self { chance, counts: Arc::default() }
    }

    pub(super) fn set<'e>(&self, batch: Uuid, essays: impl Iterator<Item = &'e Essay>) {
        let mut counts = BTreeMap::new();
        for essay in essays {
            *counts.entry(essay.place.status().as_str().to_owned()).or_default() += 1;
        }
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).insert(batch, counts);
    }
}

#[async_trait]
impl LifecycleStatus for Statuses {
    async fn statuses(&self, batch: Uuid) -> Result<EssayStatuses, LifecycleError> {
        if self.chance.injects(Fault::LifecycleAway) {
            return Err(LifecycleError::Unavailable { code: "lifecycle_timeout" });
        }
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).get(&batch).cloned();
        Ok(counts.ok_or(LifecycleError::UnknownBatch)?.into_iter().collect())
    }
}
