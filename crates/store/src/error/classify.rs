//! Which [`Error`] an error of a driver is.
//!
//! PostgreSQL's codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>. SQLite's:
//! <https://www.sqlite.org/rescode.html>.

use std::sync::Arc;

use rusqlite::ErrorCode;

use super::{Cause, Error, READ_ONLY, sqlstate};
use crate::sqlx;

/// The code of a refused login.
pub(super) const LOGIN_REFUSED: &str = "database_login_refused";
/// The code of too many connections.
pub(super) const EXHAUSTED: &str = "database_connections_exhausted";
/// What an error of connecting says that the database cannot do.
pub(super) const CONNECT: &str = "be reached";

/// How the caller should react to an error of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Wait: the database cannot serve.
    Unavailable,
    /// Wait: its disk is full.
    Full,
    /// Repeat: another change was concurrent.
    Conflict,
    /// Wait: an operator has to remove the reason.
    Refused,
    /// Wait: the file has to be restored.
    Damaged,
    /// Set aside what has these values.
    Rejected,
}

/// The reaction to a SQLSTATE. Only data exceptions (class 22) and violated constraints (class 23) blame the data.
pub(super) fn to_sqlstate(code: &str) -> Reaction {
    match code {
        // serialization failure, deadlock, lock time-out
        "40001" | "40P01" | "55P03" => Reaction::Conflict,
        // disk full
        "53100" => Reaction::Full,
        // a database that does not exist, a read-only server after a failover, an I/O error of the server
        "3D000" | READ_ONLY | "58030" => Reaction::Unavailable,
        code => match code.get(..2) {
            Some("22" | "23") => Reaction::Rejected,
            // connection exceptions, refused logins, insufficient resources, operator intervention
            Some("08" | "28" | "53" | "57") => Reaction::Unavailable,
            _ => Reaction::Refused,
        },
    }
}

/// The reaction to a primary result code of SQLite. An I/O error says nothing about the file's content.
pub(super) const fn to_sqlite(code: ErrorCode) -> Reaction {
    match code {
        ErrorCode::DiskFull => Reaction::Full,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Reaction::Conflict,
        ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::ReadOnly
        | ErrorCode::OutOfMemory
        | ErrorCode::PermissionDenied
        | ErrorCode::OperationInterrupted
        | ErrorCode::OperationAborted
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::NoLargeFileSupport => Reaction::Unavailable,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Reaction::Damaged,
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig => Reaction::Rejected,
        ErrorCode::InternalMalfunction
        | ErrorCode::NotFound
        | ErrorCode::SchemaChanged
        | ErrorCode::ApiMisuse
        | ErrorCode::AuthorizationForStatementDenied
        | ErrorCode::ParameterOutOfRange
        | ErrorCode::Unknown
        // `ErrorCode` may grow, and an unknown error does not blame the data.
        | _ => Reaction::Refused,
    }
}

pub(super) fn sqlite(doing: &'static str, error: rusqlite::Error) -> Error {
    let reaction = match error.sqlite_error_code() {
        Some(code) => to_sqlite(code),
        None if is_about_a_value(&error) => Reaction::Rejected,
        None => Reaction::Refused,
    };
    made(reaction, doing, Arc::new(error))
}

/// Whether rusqlite could not convert a value to or from SQLite.
const fn is_about_a_value(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::NulError(_)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::ToSqlConversionFailure(_)
    )
}

pub(super) fn postgres(doing: &'static str, error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(sqlx::DatabaseError::code);
    let reaction = match (code, &error) {
        (Some(code), _) => to_sqlstate(&code),
        (None, sqlx::Error::Encode(_)) => Reaction::Rejected,
        (None, _) => Reaction::Unavailable,
    };
    made(reaction, doing, Arc::new(error))
}

/// Whatever the server answers to a login, no statement has reached it.
pub(super) fn connecting(error: sqlx::Error) -> Error {
    Error::Unavailable { doing: CONNECT, cause: Some(Arc::new(error)) }
}

fn made(reaction: Reaction, doing: &'static str, source: Cause) -> Error {
    match reaction {
        Reaction::Unavailable => Error::Unavailable { doing, cause: Some(source) },
        Reaction::Full => Error::Full { doing },
        Reaction::Conflict => Error::Conflict { doing, source: Some(source) },
        Reaction::Refused => Error::Refused { doing, cause: source },
        Reaction::Damaged => Error::Damaged { doing, cause: source, is_confirmed: false },
        Reaction::Rejected => Error::Rejected { doing, source },
    }
}

/// The code of an error of connecting: a login is refused for many reasons, such as `28P01` (a wrong password), `3D000` (no such
/// database), `55000` (it accepts no connections) and `42501` (the role may not connect).
pub(super) fn code_of_connecting(cause: &Cause) -> &'static str {
    match sqlstate(cause).as_deref() {
        Some("53300") => EXHAUSTED,
        Some(state) if ["08", "53", "57", "58", "XX"].iter().any(|class| state.starts_with(class)) => {
            "database_unavailable"
        }
        Some(_) => LOGIN_REFUSED,
        None => code(cause),
    }
}

/// The code of an unavailable or refusing database.
pub(super) fn code(cause: &Cause) -> &'static str {
    if let Some(state) = sqlstate(cause) {
        return match &*state {
            "42501" => "database_right_missing",
            READ_ONLY => "database_read_only",
            "58030" => "database_io_error",
            "53300" => EXHAUSTED,
            state if state.starts_with("28") => LOGIN_REFUSED,
            state if to_sqlstate(state) == Reaction::Unavailable => "database_unavailable",
            _ => "database_refuses",
        };
    }
    match cause.downcast_ref::<rusqlite::Error>().map(rusqlite::Error::sqlite_error_code) {
        Some(Some(ErrorCode::SystemIoFailure)) => "database_io_error",
        Some(Some(ErrorCode::ReadOnly)) => "database_read_only",
        Some(Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied)) => "database_cannot_be_opened",
        Some(Some(code)) if to_sqlite(code) == Reaction::Unavailable => "database_unavailable",
        Some(_) => "database_refuses",
        None => match cause.downcast_ref::<sqlx::Error>() {
            Some(sqlx::Error::Io(_) | sqlx::Error::Tls(_)) => "database_unreachable",
            Some(sqlx::Error::PoolTimedOut) => EXHAUSTED,
            _ => "database_unavailable",
        },
    }
}
