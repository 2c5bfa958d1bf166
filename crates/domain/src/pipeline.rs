//! From the phases that somebody asked for to the phases that will run.

#[cfg(test)]
mod tests;

use crate::decide::Refusal;
use crate::phase::{Phase, PhaseSet};

/// The phases to run, and how they differ from what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// What will run, in order. Never empty.
    pub phases: Vec<Phase>,
    /// Prerequisites that were not asked for and are needed.
    pub added: Vec<Phase>,
    /// What was asked for and has succeeded before.
    pub skipped: Vec<Phase>,
}

impl Pipeline {
    /// Puts `asked` in dependency order, adds what is missing and leaves out what `done` says has succeeded.
    ///
    /// Refuses an empty list, a phase named twice, and a list of which nothing is left to do.
    pub fn resolve(asked: &[Phase], done: impl Fn(Phase) -> bool) -> Result<Self, Refusal> {
        let wanted: PhaseSet = asked.iter().copied().collect();
        if asked.is_empty() {
            return Err(Refusal::NoPhases);
        }
        if let Some(phase) = wanted.iter().find(|phase| asked.iter().filter(|p| *p == phase).count() > 1) {
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
