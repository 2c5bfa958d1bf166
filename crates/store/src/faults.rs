//! Fault injection for tests: units and reads that fail as a real database fails.
//!
//! Compiled only with the feature `faults`, because every unit and read passes through here.

use crate::error::Error;

/// A fault of a unit or a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The database is unreachable: the unit or read does not begin.
    Unavailable,
    /// A unit runs and is rolled back. For a read, as [`Fault::Unavailable`].
    RolledBack,
    /// A unit is committed, but its caller gets an error. For a read, as [`Fault::Unavailable`].
    CommitUnknown,
}

/// The kind of access to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A unit of work.
    Unit,
    /// A read.
    Read,
}

/// Decides which accesses fail: none by default.
#[derive(Clone, Default)]
pub struct Faults {
    #[cfg(feature = "faults")]
    decide: Option<std::sync::Arc<dyn Fn(Access) -> Option<Fault> + Send + Sync>>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}

impl Faults {
    /// Calls `decide` for every unit and every read.
    #[cfg(feature = "faults")]
    pub fn new(decide: impl Fn(Access) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self { decide: Some(std::sync::Arc::new(decide)) }
    }

    #[cfg(feature = "faults")]
    pub(crate) fn next(&self, access: Access) -> Option<Fault> {
        self.decide.as_ref().and_then(|decide| decide(access))
    }

    #[cfg(not(feature = "faults"))]
    #[expect(clippy::unused_self, reason = "the version with the feature `faults` needs it")]
    pub(crate) const fn next(&self, _: Access) -> Option<Fault> {
        None
    }

    pub(crate) const fn error(doing: &'static str) -> Error {
        Error::Unavailable { doing, cause: None }
    }
}
