//! The database file: how it is opened, and who may.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::Error;

/// The WAL is copied back into the database after about this many pages (4 kB each).
const CHECKPOINT_PAGES: i64 = 4_000;

/// The WAL's file is cut back to this many bytes once all of it is in the database. While somebody reads for long, such as a
/// shell left open or a copy under way, nothing can be copied back, and the file grows with every write.
const WAL_KEPT_BYTES: i64 = 64 << 20;

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
        conn.pragma_update(None, "cache_size", if writes { -32_000 } else { -4_000 })?;
        conn.pragma_update(None, "wal_autocheckpoint", if writes { CHECKPOINT_PAGES } else { 0 })?;
        conn.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
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

/// Which files the database is, by the file system's own identity. Looking at a path opens nothing, so SQLite's locks stand.
#[derive(Debug)]
pub(crate) struct Identity {
    files: Vec<(PathBuf, FileId)>,
}

impl Identity {
    /// Of the database that is open now: its file, and its write-ahead log, which holds what is not in the file yet.
    pub(crate) fn of(database: &Path) -> Self {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        let files = [database.to_owned(), PathBuf::from(log)];
        Self { files: files.into_iter().filter_map(|file| Some((file.clone(), file_id(&file)?))).collect() }
    }

    /// The file that is not where it was, if there is one.
    pub(crate) fn missing(&self) -> Option<&Path> {
        let is_elsewhere = |(file, id): &&(PathBuf, FileId)| file_id(file).as_ref() != Some(id);
        self.files.iter().find(is_elsewhere).map(|(file, _)| file.as_path())
    }
}

#[cfg(unix)]
type FileId = (u64, u64);
#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Elsewhere a file in use cannot be taken away.
#[cfg(not(unix))]
type FileId = ();
#[cfg(not(unix))]
fn file_id(path: &Path) -> Option<FileId> {
    path.exists().then_some(())
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
