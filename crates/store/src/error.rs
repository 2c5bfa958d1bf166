//! Errors of the database, classified by how the caller should react.
//!
//! Only what blames the data is permanent: a value that the database rejects, or a row that cannot be read. Every other error is
//! transient, because an operator or time removes its cause: a missing right, a full disk, a refused login, a damaged file.

mod classify;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crate::sqlx;

/// The source of an [`Error`]. Shared, because a failed COMMIT fails all units of its group.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// An error of the store. `Display` names the action and what the database said about itself, but never a stored value.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database cannot serve now: it is unreachable, refuses the login, is out of resources, read-only or shutting down, or
    /// its disk fails. Transient.
    #[error("the database cannot {doing}{}", Said(cause.as_ref()))]
    Unavailable {
        /// The action, as in "the database cannot *commit*".
        doing: &'static str,
        /// The driver's error, which is part of the text.
        cause: Option<Cause>,
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
    /// The database refuses the statement for a reason that is not its data: a missing right or table, an unsupported feature, an
    /// internal error. Transient, because an operator can remove the reason.
    #[error("the database refuses to {doing}{}", Said(Some(cause)))]
    Refused {
        /// The action.
        doing: &'static str,
        /// The driver's error, which is part of the text.
        cause: Cause,
    },
    /// SQLite reports that its file is malformed. Transient for the work that waits, because a restored file continues it. A disk
    /// that fails to read causes the same report, so the file is called damaged only after a check of the whole file.
    #[error("the database cannot {doing}: {}", damage(cause, *is_confirmed))]
    Damaged {
        /// The action.
        doing: &'static str,
        /// The driver's error, which is part of the text.
        cause: Cause,
        /// Whether a check of the whole file has found the damage.
        is_confirmed: bool,
    },
    /// A row holds a value that this program never writes, or that a newer version wrote. Blames the data.
    #[error("{table}.{column} holds a value that this version cannot read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's identity, if known; else empty.
        row: String,
    },
    /// The database rejected a value of the statement: SQLSTATE class 22 or 23, or a constraint of SQLite. Blames the data.
    #[error("the database rejected the values of the statement to {doing}")]
    Rejected {
        /// The action.
        doing: &'static str,
        /// The driver's error, whose text may repeat a value.
        #[source]
        source: Cause,
    },
    /// A unit or a read panicked, or waited for something other than its transaction: a defect of this program that its input
    /// provokes.
    #[error("{what}, which is a defect of this program")]
    Defect {
        /// What happened.
        what: &'static str,
    },
    /// The database file or server cannot be used by this program.
    #[error("{problem}")]
    Unfit {
        /// The problem, and what the operator can do.
        problem: String,
    },
}

/// What to do about a malformed file.
pub(crate) const RESCUE: &str = "stop the service and keep a copy of the whole data folder; then restore a backup, or recover what can \
    be read with the `.recover` command of the sqlite3 shell";

fn damage(cause: &Cause, is_confirmed: bool) -> String {
    if is_confirmed {
        format!("its file is damaged ({cause}); {RESCUE}")
    } else {
        format!(
            "SQLite cannot read its file ({cause}); the disk may be failing, so change nothing in the data folder"
        )
    }
}

/// What the database said, with its SQLSTATE; nothing if there is no driver's error. The texts of these errors name tables and
/// roles, but no values.
struct Said<'e>(Option<&'e Cause>);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(cause) = self.0 else { return Ok(()) };
        match (sqlstate(cause), database_message(cause)) {
            (Some(code), Some(message)) => write!(f, ": {message} (SQLSTATE {code})"),
            _ => write!(f, ": {cause}"),
        }
    }
}

/// SQLSTATE of a write in a read-only transaction.
const READ_ONLY: &str = "25006";

/// The SQLSTATE of a PostgreSQL error.
fn sqlstate(cause: &Cause) -> Option<std::borrow::Cow<'_, str>> {
    cause.downcast_ref::<sqlx::Error>()?.as_database_error()?.code()
}

fn database_message(cause: &Cause) -> Option<&str> {
    Some(cause.downcast_ref::<sqlx::Error>()?.as_database_error()?.message())
}

impl Error {
    /// Whether the same call may succeed later without a change to this program or its data: true unless the error blames the
    /// data, or is a defect.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::Full { .. }
            | Self::Conflict { .. }
            | Self::Refused { .. }
            | Self::Damaged { .. }
            | Self::Unfit { .. } => true,
            Self::Corrupt { .. } | Self::Rejected { .. } | Self::Defect { .. } => false,
        }
    }

    /// The cause as a stable code, for operators.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { doing: classify::CONNECT, cause: Some(cause) } => {
                classify::code_of_connecting(cause)
            }
            Self::Unavailable { cause: Some(cause), .. } | Self::Refused { cause, .. } => {
                classify::code(cause)
            }
            Self::Unavailable { cause: None, .. } => "database_unavailable",
            Self::Full { .. } => "database_full",
            Self::Conflict { .. } => "database_conflict",
            Self::Damaged { is_confirmed: false, .. } => "database_unreadable",
            Self::Damaged { is_confirmed: true, .. } => "database_damaged",
            Self::Corrupt { .. } => "row_unreadable",
            Self::Rejected { .. } => "value_rejected",
            Self::Defect { .. } => "defect",
            Self::Unfit { .. } => "database_unfit",
        }
    }

    /// Whether PostgreSQL refused the login: a wrong password, a role that may not log in or connect, or a database that does not
    /// exist or accepts no connections.
    pub fn is_refused_login(&self) -> bool {
        self.code() == classify::LOGIN_REFUSED
    }

    /// Whether the unit should be retried at once: after a serialization failure or a deadlock. Not after a lock time-out
    /// (55P03), since a retry would wait as long again, nor after a lost compare-and-set, which only the caller can repeat.
    pub(crate) fn is_retryable(&self) -> bool {
        let Self::Conflict { source: Some(source), .. } = self else { return false };
        sqlstate(source).as_deref() != Some("55P03")
    }

    /// Whether the server refuses writes, as a former primary does after a failover.
    pub(crate) fn is_read_only_server(&self) -> bool {
        let Self::Unavailable { cause: Some(cause), .. } = self else { return false };
        sqlstate(cause).as_deref() == Some(READ_ONLY)
    }

    pub(crate) fn corrupt(table: &'static str, column: &'static str, row: impl fmt::Display) -> Self {
        Self::Corrupt { table, column, row: row.to_string() }
    }

    pub(crate) fn sqlite(doing: &'static str, error: rusqlite::Error) -> Self {
        classify::sqlite(doing, error)
    }

    pub(crate) fn postgres(doing: &'static str, error: sqlx::Error) -> Self {
        classify::postgres(doing, error)
    }

    /// An error of connecting and logging in.
    pub(crate) fn connecting(error: sqlx::Error) -> Self {
        classify::connecting(error)
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
