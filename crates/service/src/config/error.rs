//! The faults of a configuration, reported together.

use std::fmt;

/// One fault of a configuration: where, what, and the next step. It never contains a value, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The variable, file and line, or flag.
    pub subject: String,
    /// What is wrong: the predicate of a sentence whose subject is [`subject`](Self::subject).
    pub problem: String,
    /// What the user should do, as an imperative.
    pub next_step: String,
}

impl Fault {
    /// A fault of `subject`.
    pub fn new(subject: impl fmt::Display, problem: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { subject: subject.to_string(), problem: problem.into(), next_step: next_step.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}; {}", self.subject, self.problem, self.next_step)
    }
}

/// All faults of a configuration; at least one.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Error(pub Vec<Fault>);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "the configuration has {} fault{plural}", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}
