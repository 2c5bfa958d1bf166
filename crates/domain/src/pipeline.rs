//! From the requested phases to the phases that will run.

#[cfg(test)]
mod tests;

use crate::phase::{Phase, PhaseSet};
use crate::refusal::Refusal;

/// The phases to run, and how they differ from the requested ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// The phases that will run, in order. Never empty.
    pub phases: Vec<Phase>,
    /// Prerequisites that were not requested and are needed.
    pub added: Vec<Phase>,
    /// Requested phases that have already succeeded.
    pub skipped: Vec<Phase>,
}

impl Pipeline {
    /// Sorts the requested phases by dependency, adds missing prerequisites and leaves out phases that are `done`.
    ///
    /// # Errors
    /// [`Refusal::NoPhases`], [`Refusal::DuplicatePhase`], or [`Refusal::AlreadyDone`] when no phase is left to run.
    pub fn resolve(requested: &[Phase], done: impl Fn(Phase) -> bool) -> Result<Self, Refusal> {
        let wanted: PhaseSet = requested.iter().copied().collect();
        if requested.is_empty() {
            return Err(Refusal::NoPhases);
        }
        if let Some(phase) = wanted.iter().find(|phase| requested.iter().filter(|p| *p == phase).count() > 1)
        {
            return Err(Refusal::DuplicatePhase { phase });
        }
        let skipped: Vec<Phase> = wanted.iter().filter(|phase| done(*phase)).collect();
        let needed: PhaseSet = wanted
            .iter()
            .filter(|phase| !done(*phase))
            .flat_map(|phase| phase.prerequisites().iter().copied().chain([phase]))
            .filter(|phase| !done(*phase))
            .collect();
        let phases: Vec<Phase> = needed.iter().collect();
        if phases.is_empty() {
            return Err(Refusal::AlreadyDone { phases: skipped });
        }
        let added = needed.iter().filter(|phase| !wanted.contains(*phase)).collect();
        Ok(Self { phases, added, skipped })
    }
}
