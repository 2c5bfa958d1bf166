//! Faults of a database that a test asks for: what a fake never does, and a real one does at the worst moment.
//!
//! A release build has no switch: every unit and read goes through there.

use crate::error::Error;

/// What becomes of a unit or a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The database is away: nothing has begun.
    Away,
    /// A unit runs, and is rolled back. A read is as with [`Fault::Away`].
    RolledBack,
    /// A unit is committed, and its caller is told that it was not. A read is as with [`Fault::Away`].
    CommitUnknown,
}

/// What is asked of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A unit of work.
    Unit,
    /// A read.
    Read,
}

/// Which faults happen: none, unless a test has armed them.
#[derive(Clone, Default)]
pub struct Faults {
    #[cfg(feature = "faults")]
    armed: Option<std::sync::Arc<dyn Fn(Access) -> Option<Fault> + Send + Sync>>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}

impl Faults {
    /// Asks `decide` about every unit and every read.
    #[cfg(feature = "faults")]
    pub fn armed(decide: impl Fn(Access) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self { armed: Some(std::sync::Arc::new(decide)) }
    }

    #[cfg(feature = "faults")]
    pub(crate) fn next(&self, access: Access) -> Option<Fault> {
        self.armed.as_ref().and_then(|decide| decide(access))
    }

    #[cfg(not(feature = "faults"))]
    #[expect(clippy::unused_self, reason = "the twin with faults needs it")]
    pub(crate) const fn next(&self, _: Access) -> Option<Fault> {
        None
    }

    pub(crate) const fn error(doing: &'static str) -> Error {
        Error::Unavailable { doing, source: None }
    }
}
