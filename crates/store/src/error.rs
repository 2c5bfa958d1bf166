//! What can go wrong between us and the database, told apart by what the caller should do about it.

use std::sync::Arc;

use crate::sqlx;

/// The cause below an [`Error`], shared because a failed COMMIT is everybody's failure.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// An error of the store. Display says what the store was doing, never the cause below it and never a value.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database cannot serve now: away, full, busy or shutting down. Trying again later may help.
    #[error("the database cannot {doing}")]
    Unavailable {
        /// What the store was doing, as in "cannot commit".
        doing: &'static str,
        /// The driver's error.
        #[source]
        source: Option<Cause>,
    },
    /// The disk holds no more. Nothing of the unit is stored; reads go on.
    #[error("the database cannot {doing}: no space is left on its disk")]
    Full {
        /// What the store was doing.
        doing: &'static str,
    },
    /// Another unit was in the way (a lock time-out, a serialisation failure, a compare-and-set that lost).
    #[error("the database could not {doing} because of another change at the same time")]
    Conflict {
        /// What the store was doing.
        doing: &'static str,
        /// The driver's error, if the database noticed it; none when a compare-and-set did.
        #[source]
        source: Option<Cause>,
    },
    /// A row holds what this program never writes, or what a newer program wrote.
    #[error("{table}.{column} holds a value that this version cannot read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What identifies the row, if known.
        row: String,
    },
    /// A statement or a migration is wrong: a defect of this program.
    #[error("the database refused a statement while it was to {doing}")]
    Refused {
        /// What the store was doing.
        doing: &'static str,
        /// The driver's error.
        #[source]
        source: Cause,
    },
    /// The database file or server does not fit this program.
    #[error("{problem}")]
    Unfit {
        /// What does not fit, and what to do.
        problem: String,
    },
}

/// PostgreSQL's code for a write within a transaction that may only read.
const READ_ONLY: &str = "25006";

/// PostgreSQL's code of an error.
fn code(cause: &Cause) -> Option<std::borrow::Cow<'_, str>> {
    cause.downcast_ref::<sqlx::Error>()?.as_database_error()?.code()
}

impl Error {
    /// Whether the same call may succeed later without anybody mending anything in this program.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Full { .. } | Self::Conflict { .. } => true,
            Self::Corrupt { .. } | Self::Refused { .. } | Self::Unfit { .. } => false,
        }
    }

    /// Whether the same unit, run again at once, may well succeed: a serialisation failure or a deadlock. Who has waited in vain
    /// for a lock has waited long enough, and a compare-and-set that lost is for whoever read too early.
    pub(crate) fn may_pass_when_run_again(&self) -> bool {
        let Self::Conflict { source: Some(source), .. } = self else { return false };
        code(source).as_deref() != Some("55P03")
    }

    /// Whether the server takes no writes at all: after a failover it is the one before.
    pub(crate) fn is_of_a_read_only_server(&self) -> bool {
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
            // serialisation failure, deadlock, lock time-out
            Some("40001" | "40P01" | "55P03") => Self::Conflict { doing, source: Some(source) },
            Some("53100") => Self::Full { doing },
            // connection trouble, resources, operator intervention, read-only server after a failover
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

/// What a unit's own error must offer so that the store can re-run the unit and fail a whole group.
pub trait UnitError: From<Error> + Send + 'static {
    /// The store's error inside, if that is what it is.
    fn store(&self) -> Option<&Error>;
}

impl UnitError for Error {
    fn store(&self) -> Option<&Error> {
        Some(self)
    }
}
