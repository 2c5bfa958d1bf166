//! The invariants of the service: one catalogue of id, title and meaning, and the [`Finding`] that reports a violation.
//!
//! Three judges evaluate them: the simulation, the chaos run and `bos audit`. They are independent implementations, so that
//! a mistake in one does not hide a defect from the others. They share what this crate holds and nothing that decides.
//!
//! This crate is in `crates/` and not in `testing/` because `bos audit` ships, and nothing that ships depends on `testing/`.
//! It is a crate of its own because no existing crate fits: the catalogue is neither a rule of the domain nor a part of the
//! wire contract, and a judge that only names invariants should not compile the engine. It has no dependencies.
//!
//! `docs/reliability.md` prints [`markdown_table`]; a test of this crate compares the two.

mod catalogue;

use std::fmt;

pub use catalogue::{Invariant, Judge, markdown_table};

/// One violation of an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The invariant that is violated.
    pub invariant: Invariant,
    /// Where: the event, record, batch, key or process, named by its id.
    pub location: String,
    /// What is wrong there.
    pub what: String,
}

impl Finding {
    /// A violation of `invariant` at `location`.
    pub fn new(invariant: Invariant, location: impl Into<String>, what: impl Into<String>) -> Self {
        Self { invariant, location: location.into(), what: what.into() }
    }
}

/// Writes `location: what`, without the invariant.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.what)
    }
}

/// The result of evaluating one invariant in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The invariant.
    pub invariant: Invariant,
    /// How many times it was evaluated. An invariant with 0 was not tested by the run.
    pub checked: usize,
    /// The unit of `checked`, such as `records read`.
    pub unit: &'static str,
    /// The violations; a judge may keep only the first ones.
    pub findings: Vec<Finding>,
    /// The number of violations, including those that `findings` does not keep.
    pub violations: usize,
}

impl Evaluation {
    /// The result with every violation kept.
    pub fn new(invariant: Invariant, checked: usize, unit: &'static str, findings: Vec<Finding>) -> Self {
        let violations = findings.len();
        Self { invariant, checked, unit, findings, violations }
    }
}
