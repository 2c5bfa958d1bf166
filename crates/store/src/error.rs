//! Errors of the database, classified by how the caller should react.

use std::sync::Arc;

use crate::sqlx;

/// The source of an [`Error`]. Shared, because a failed COMMIT fails all units of its group.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// An error of the store. `Display` names the action but neither the source nor any stored value.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database cannot serve now: it is unreachable, out of resources, read-only or shutting down. Transient.
    #[error("the database cannot {doing}")]
    Unavailable {
        /// The action, as in "the database cannot *commit*".
        doing: &'static str,
        /// The driver's error.
        #[source]
        source: Option<Cause>,
    },
    /// The disk is full. The unit is rolled back; reads still work. Transient.
    #[error("the database cannot {doing}: no space is left on its disk")]
    Full {
        /// The action.
        doing: &'static str,
    },
    /// A concurrent change: a lock time-out, a serialization failure, a deadlock, or a lost compare-and-set. Transient.
    #[error("the database could not {doing} because of a concurrent change")]
    Conflict {
        /// The action.
        doing: &'static str,
        /// The driver's error; `None` for a lost compare-and-set.
        #[source]
        source: Option<Cause>,
    },
    /// A row holds a value that this program never writes, or that a newer version wrote.
    #[error("{table}.{column} holds a value that this version cannot read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's identity, if known; else empty.
        row: String,
    },
    /// The database rejected a statement or a migration: a defect of this program.
    #[error("the database rejected the statement to {doing}")]
    Refused {
        /// The action.
        doing: &'static str,
        /// The driver's error.
        #[source]
        source: Cause,
    },
    /// The database file or server cannot be used by this program.
    #[error("{problem}")]
    Unfit {
        /// The problem, and what the operator can do.
        problem: String,
    },
}

/// SQLSTATE of a write in a read-only transaction.
const READ_ONLY: &str = "25006";

/// The SQLSTATE of a PostgreSQL error.
fn code(cause: &Cause) -> Option<std::borrow::Cow<'_, str>> {
    cause.downcast_ref::<sqlx::Error>()?.as_database_error()?.code()
}

impl Error {
    /// Whether the same call may succeed later without a change to this program or its data.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Full { .. } | Self::Conflict { .. } => true,
            Self::Corrupt { .. } | Self::Refused { .. } | Self::Unfit { .. } => false,
        }
    }

    /// Whether the unit should be retried at once: after a serialization failure or a deadlock. Not after a lock time-out
    /// (55P03), since a retry would wait as long again, nor after a lost compare-and-set, which only the caller can repeat.
    pub(crate) fn is_retryable(&self) -> bool {
        let Self::Conflict { source: Some(source), .. } = self else { return false };
        code(source).as_deref() != Some("55P03")
    }

    /// Whether the server refuses writes, as a former primary does after a failover.
    pub(crate) fn is_read_only_server(&self) -> bool {
        let Self::Unavailable { source: Some(source), .. } = self else { return false };
        code(source).as_deref() == Some(READ_ONLY)
    }

    pub(crate) fn corrupt(table: &'static str, column: &'static str, row: impl std::fmt::Display) -> Self {
        Self::Corrupt { table, column, row: row.to_string() }
    }

    pub(crate) fn sqlite(doing: &'static str, error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(Code::DiskFull) => Self::Full { doing },
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
                Self::Conflict { doing, source: Some(Arc::new(error)) }
            }
            Some(
                Code::SystemIoFailure
                | Code::CannotOpen
                | Code::ReadOnly
                | Code::OutOfMemory
                | Code::PermissionDenied
                | Code::OperationInterrupted
                | Code::FileLockingProtocolFailed,
            ) => Self::Unavailable { doing, source: Some(Arc::new(error)) },
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Self::Unfit {
                problem:
                    "the database file is damaged; restore it from a copy, or start with an empty data folder"
                        .to_owned(),
            },
            _ => Self::Refused { doing, source: Arc::new(error) },
        }
    }

    pub(crate) fn postgres(doing: &'static str, error: sqlx::Error) -> Self {
        let code =
            error.as_database_error().and_then(sqlx::DatabaseError::code).map(std::borrow::Cow::into_owned);
        let source: Cause = Arc::new(error);
        match code.as_deref() {
            // serialization failure, deadlock, lock time-out
            Some("40001" | "40P01" | "55P03") => Self::Conflict { doing, source: Some(source) },
            Some("53100") => Self::Full { doing },
            // connection exceptions, insufficient resources, operator intervention, a read-only server after a failover
            Some(c)
                if c.starts_with("08") || c.starts_with("53") || c.starts_with("57") || c == READ_ONLY =>
            {
                Self::Unavailable { doing, source: Some(source) }
            }
            Some(_) => Self::Refused { doing, source },
            None => Self::Unavailable { doing, source: Some(source) },
        }
    }
}

/// The error type of a unit. It gives access to the store's error, so that the store can retry the unit or fail its group.
pub trait UnitError: From<Error> + Send + 'static {
    /// The store's error, if this error is or wraps one.
    fn store_error(&self) -> Option<&Error>;
}

impl UnitError for Error {
    fn store_error(&self) -> Option<&Error> {
        Some(self)
    }
}
