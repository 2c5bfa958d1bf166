//! The database file: connection settings, its identity, and the lock that keeps other processes out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::Error;

/// The write-ahead log is checkpointed after about this many pages (4 kB each, 16 MB).
const CHECKPOINT_PAGES: i64 = 4_000;

/// The write-ahead log is truncated to this size (64 MiB, chosen) after a complete checkpoint. During a long read, such as an
/// open shell or a running copy, no checkpoint can complete and the log grows with every write.
const WAL_SIZE_LIMIT: i64 = 64 << 20;

/// Opens the file for the writer (`writes`) or for a reader.
pub(crate) fn connect(path: &Path, writes: bool) -> Result<Connection, Error> {
    let doing = "open the database file";
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.set_prepared_statement_cache_capacity(256);
        conn.busy_timeout(Duration::from_secs(5))?;
        // One plan per statement, whatever its parameters. Without this, SQLite plans some statements again at each execution.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "foreign_keys", true)?;
        conn.pragma_update(None, "trusted_schema", false)?;
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        conn.pragma_update(None, "cache_size", if writes { -32_000 } else { -4_000 })?;
        conn.pragma_update(None, "wal_autocheckpoint", if writes { CHECKPOINT_PAGES } else { 0 })?;
        conn.pragma_update(None, "journal_size_limit", WAL_SIZE_LIMIT)?;
        // Staged texts are private: deleted content is overwritten where that writes no further page.
        conn.pragma_update(None, "secure_delete", "FAST")?;
        conn.pragma_update(None, "query_only", !writes)?;
        Ok(conn)
    };
    let conn = open().map_err(|e| Error::sqlite(doing, e))?;
    // FULL and NORMAL differ only in a power cut, which tests cannot cause; so the setting itself is checked.
    let synchronous: i64 = conn
        .pragma_query_value(None, "synchronous", |row| row.get(0))
        .map_err(|e| Error::sqlite(doing, e))?;
    if synchronous != 2 {
        return Err(Error::Unfit { problem: "SQLite did not take synchronous=FULL".to_owned() });
    }
    Ok(conn)
}

/// The identity (device and inode) of the database's files. `stat` opens no file, so it does not release SQLite's locks.
#[derive(Debug)]
pub(crate) struct Identity {
    files: Vec<(PathBuf, FileId)>,
}

impl Identity {
    /// Identifies the database file and its write-ahead log, which must both exist.
    pub(crate) fn from_path(database: &Path) -> Self {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        let files = [database.to_owned(), PathBuf::from(log)];
        Self { files: files.into_iter().filter_map(|file| Some((file.clone(), file_id(&file)?))).collect() }
    }

    /// The first file that was moved, replaced or deleted since, if any.
    pub(crate) fn missing(&self) -> Option<&Path> {
        let has_changed = |(file, id): &&(PathBuf, FileId)| file_id(file).as_ref() != Some(id);
        self.files.iter().find(has_changed).map(|(file, _)| file.as_path())
    }
}

#[cfg(unix)]
type FileId = (u64, u64);
#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Other systems do not let a file in use be moved or deleted.
#[cfg(not(unix))]
type FileId = ();
#[cfg(not(unix))]
fn file_id(path: &Path) -> Option<FileId> {
    path.exists().then_some(())
}

/// The lock of the process that uses the data folder, held until it is dropped. It has a file of its own, because closing
/// another descriptor of the database's files would release SQLite's POSIX locks on them.
#[derive(Debug)]
pub(crate) struct ProcessLock {
    _file: std::fs::File,
}

impl ProcessLock {
    /// Takes the lock without waiting.
    ///
    /// # Errors
    /// [`Error::Unfit`] if another process holds it or the folder is not writable.
    pub(crate) fn acquire(database: &Path) -> Result<Self, Error> {
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
