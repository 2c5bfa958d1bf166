//! The database file: how it is opened, and who may.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::Error;

/// The WAL is copied back into the database after about this many pages (4 kB each).
const CHECKPOINT_PAGES: i64 = 4_000;

/// Opens the file for the writer or for a reader.
pub(crate) fn connect(path: &Path, writes: bool) -> Result<Connection, Error> {
    let doing = "open the database file";
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.set_prepared_statement_cache_capacity(256);
        conn.busy_timeout(Duration::from_secs(5))?;
        // One plan per statement, whatever is bound to it. Without this, SQLite plans some statements anew each time they run.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "foreign_keys", true)?;
        conn.pragma_update(None, "trusted_schema", false)?;
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        conn.pragma_update(None, "cache_size", if writes { -16_000 } else { -4_000 })?;
        conn.pragma_update(None, "wal_autocheckpoint", if writes { CHECKPOINT_PAGES } else { 0 })?;
        // What is deleted is overwritten where that costs no further page: staged texts are pupils' own.
        conn.pragma_update(None, "secure_delete", "FAST")?;
        conn.pragma_update(None, "query_only", !writes)?;
        Ok(conn)
    };
    let conn = open().map_err(|e| Error::sqlite(doing, e))?;
    // SIGKILL cannot tell FULL from NORMAL, a power cut can: so the setting itself is checked.
    let synchronous: i64 = conn
        .pragma_query_value(None, "synchronous", |row| row.get(0))
        .map_err(|e| Error::sqlite(doing, e))?;
    if synchronous != 2 {
        return Err(Error::Unfit { problem: "SQLite did not take synchronous=FULL".to_owned() });
    }
    Ok(conn)
}

/// The one process that may use a data folder holds this lock for life. It is a file of its own because closing any other
/// descriptor of the database's files would drop SQLite's own locks on them.
#[derive(Debug)]
pub(crate) struct ProcessLock {
    _file: std::fs::File,
}

impl ProcessLock {
    pub(crate) fn take(database: &Path) -> Result<Self, Error> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let cannot = |source: std::io::Error| Error::Unfit {
            problem: format!(
                "{} cannot be written ({}); choose a writable data folder",
                Path::new(&path).display(),
                source.kind()
            ),
        };
        let file = std::fs::File::options().create(true).append(true).open(&path).map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::Unfit {
                problem: format!(
                    "{} is in use by another bos process; stop it, or choose another data folder",
                    database.display()
                ),
            }),
            Err(std::fs::TryLockError::Error(source)) => Err(cannot(source)),
        }
    }
}
