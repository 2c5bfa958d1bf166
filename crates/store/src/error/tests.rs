use std::borrow::Cow;

use rusqlite::ffi;

use super::*;
use crate::sqlx::DatabaseError;

/// An error as PostgreSQL would answer it.
#[derive(Debug)]
struct Answer(&'static str);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server's text")
    }
}

impl std::error::Error for Answer {}

impl DatabaseError for Answer {
    fn message(&self) -> &'static str {
        "the server's text"
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.0.into())
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> sqlx::ErrorKind {
        sqlx::ErrorKind::Other
    }
}

fn postgres(code: &'static str) -> Error {
    Error::postgres("test", sqlx::Error::Database(Box::new(Answer(code))))
}

fn sqlite(code: std::ffi::c_int) -> Error {
    Error::sqlite("test", rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
}

#[test]
fn of_postgresqls_errors_only_data_exceptions_and_violated_constraints_blame_the_data() {
    for code in [
        "22000", "22001", "22003", "22007", "22021", "22023", "22P02", "22P05", "23000", "23502", "23503",
        "23505", "23514", "23P01",
    ] {
        let error = postgres(code);
        assert!(!error.is_transient(), "{code}");
        assert_eq!(error.code(), "value_rejected", "{code}");
        assert!(!error.to_string().contains("the server's text"), "it may repeat a value: {error}");
    }
    let transient = [
        ("08006", "database_unavailable"),
        ("0A000", "database_refuses"),
        ("21000", "database_refuses"),
        ("25001", "database_refuses"),
        ("25006", "database_read_only"),
        ("25P02", "database_refuses"),
        ("26000", "database_refuses"),
        ("28000", "database_login_refused"),
        ("28P01", "database_login_refused"),
        ("3D000", "database_unavailable"),
        ("3F000", "database_refuses"),
        ("40001", "database_conflict"),
        ("40P01", "database_conflict"),
        ("42501", "database_right_missing"),
        ("42601", "database_refuses"),
        ("42703", "database_refuses"),
        ("42P01", "database_refuses"),
        ("53100", "database_full"),
        ("53200", "database_unavailable"),
        ("53300", "database_connections_exhausted"),
        ("54000", "database_refuses"),
        ("55000", "database_refuses"),
        ("55P03", "database_conflict"),
        ("57014", "database_unavailable"),
        ("57P01", "database_unavailable"),
        ("57P03", "database_unavailable"),
        ("58030", "database_io_error"),
        ("58P01", "database_refuses"),
        ("72000", "database_refuses"),
        ("F0000", "database_refuses"),
        ("HV000", "database_refuses"),
        ("P0001", "database_refuses"),
        ("XX000", "database_refuses"),
        ("XX001", "database_refuses"),
        ("XX002", "database_refuses"),
        ("", "database_refuses"),
    ];
    for (state, code) in transient {
        let error = postgres(state);
        assert!(error.is_transient(), "{state}");
        assert_eq!(error.code(), code, "{state}");
    }
}

#[test]
fn whatever_refuses_a_login_the_work_waits() {
    let cases = [
        ("08006", "database_unavailable"),
        ("0A000", "database_login_refused"),
        ("22023", "database_login_refused"),
        ("28000", "database_login_refused"),
        ("28P01", "database_login_refused"),
        ("3D000", "database_login_refused"),
        ("42501", "database_login_refused"),
        ("53300", "database_connections_exhausted"),
        ("55000", "database_login_refused"),
        ("57P03", "database_unavailable"),
        ("58030", "database_unavailable"),
        ("XX000", "database_unavailable"),
    ];
    for (state, code) in cases {
        let error = Error::connecting(sqlx::Error::Database(Box::new(Answer(state))));
        assert!(error.is_transient(), "{state}");
        assert_eq!(error.code(), code, "{state}");
        assert_eq!(error.is_refused_login(), code == "database_login_refused", "{state}");
    }
    let refused = sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
    assert_eq!(Error::connecting(refused).code(), "database_unreachable");
}

#[test]
fn of_sqlites_errors_only_constraints_and_impossible_values_blame_the_data() {
    for code in [
        ffi::SQLITE_CONSTRAINT_UNIQUE,
        ffi::SQLITE_CONSTRAINT_CHECK,
        ffi::SQLITE_MISMATCH,
        ffi::SQLITE_TOOBIG,
    ] {
        assert!(!sqlite(code).is_transient(), "{code}");
    }
    let transient = [
        (ffi::SQLITE_ERROR, "database_refuses"),
        (ffi::SQLITE_INTERNAL, "database_refuses"),
        (ffi::SQLITE_PERM, "database_cannot_be_opened"),
        (ffi::SQLITE_ABORT, "database_unavailable"),
        (ffi::SQLITE_BUSY, "database_conflict"),
        (ffi::SQLITE_LOCKED, "database_conflict"),
        (ffi::SQLITE_NOMEM, "database_unavailable"),
        (ffi::SQLITE_READONLY, "database_read_only"),
        (ffi::SQLITE_READONLY_DBMOVED, "database_read_only"),
        (ffi::SQLITE_INTERRUPT, "database_unavailable"),
        (ffi::SQLITE_IOERR, "database_io_error"),
        (ffi::SQLITE_IOERR_READ, "database_io_error"),
        (ffi::SQLITE_IOERR_WRITE, "database_io_error"),
        (ffi::SQLITE_IOERR_FSYNC, "database_io_error"),
        (ffi::SQLITE_IOERR_CORRUPTFS, "database_io_error"),
        (ffi::SQLITE_FULL, "database_full"),
        (ffi::SQLITE_CANTOPEN, "database_cannot_be_opened"),
        (ffi::SQLITE_PROTOCOL, "database_unavailable"),
        (ffi::SQLITE_SCHEMA, "database_refuses"),
        (ffi::SQLITE_MISUSE, "database_refuses"),
        (ffi::SQLITE_NOLFS, "database_unavailable"),
        (ffi::SQLITE_AUTH, "database_refuses"),
        (ffi::SQLITE_RANGE, "database_refuses"),
        (ffi::SQLITE_CORRUPT, "database_unreadable"),
        (ffi::SQLITE_NOTADB, "database_unreadable"),
    ];
    for (result, code) in transient {
        let error = sqlite(result);
        assert!(error.is_transient(), "{result}");
        assert_eq!(error.code(), code, "{result}");
    }
}

#[test]
fn no_report_of_sqlite_alone_is_called_damage_and_no_advice_is_to_delete_the_file() {
    for code in [
        ffi::SQLITE_IOERR_READ,
        ffi::SQLITE_IOERR_CORRUPTFS,
        ffi::SQLITE_FULL,
        ffi::SQLITE_CANTOPEN,
        ffi::SQLITE_READONLY,
        ffi::SQLITE_CORRUPT,
        ffi::SQLITE_NOTADB,
    ] {
        let text = sqlite(code).to_string();
        assert!(!text.contains("damaged") && !text.contains("restore"), "{text}");
    }
    let cause: Cause = Arc::new(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), None));
    let text = Error::Damaged { doing: "test", cause, is_confirmed: true }.to_string();
    assert!(text.contains("damaged") && text.contains("keep a copy"), "{text}");
    assert!(!text.contains("delete") && !text.contains("empty data folder"), "{text}");
}

#[test]
fn a_value_that_cannot_be_converted_blames_the_data_and_a_lost_connection_does_not() {
    let odd = || Box::<dyn std::error::Error + Send + Sync>::from("odd");
    assert!(!Error::postgres("test", sqlx::Error::Encode(odd())).is_transient());
    assert!(!Error::sqlite("test", rusqlite::Error::ToSqlConversionFailure(odd())).is_transient());
    let reset = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
    for error in [reset, sqlx::Error::PoolTimedOut, sqlx::Error::WorkerCrashed] {
        assert!(Error::postgres("test", error).is_transient());
    }
    assert!(Error::sqlite("test", rusqlite::Error::InvalidQuery).is_transient());
}

#[test]
fn an_error_about_the_database_itself_repeats_what_the_server_said() {
    assert_eq!(
        postgres("42501").to_string(),
        "the database refuses to test: the server's text (SQLSTATE 42501)"
    );
    assert_eq!(postgres("28P01").to_string(), "the database cannot test: the server's text (SQLSTATE 28P01)");
}
