//! What is wrong with a configuration, all of it at once.

use std::fmt;

/// One thing that is wrong: where, what, and what to do about it. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The variable, file and line, or flag.
    pub subject: String,
    /// What is wrong, in words that follow the subject.
    pub problem: String,
    /// The next step.
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

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Error(pub Vec<Fault>);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "the configuration has {} fault{plural}", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}
