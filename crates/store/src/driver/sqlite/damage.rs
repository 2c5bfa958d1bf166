//! Whether a database file that SQLite reports as malformed is damaged, or cannot be read because the disk fails.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, RESCUE};

/// The least time between two checks while the service runs; chosen: a check reads the whole file.
const PAUSE: Duration = Duration::from_mins(1);

/// Checks the file over a connection of its own. Returns what is wrong with it; `None` if it is sound, or cannot be read.
pub(super) fn find(path: &Path) -> Option<String> {
    let check = || -> rusqlite::Result<String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(Duration::from_secs(5))?;
        // A disk that fails is noticed here, because this connection has read nothing yet.
        let _: i64 = conn.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
        conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
    };
    match check() {
        Ok(found) => (found != "ok").then_some(found),
        Err(error) => is_malformed(&error).then(|| error.to_string()),
    }
}

fn is_malformed(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    )
}

/// The same error, confirmed if a check finds the damage. Used when the file is opened.
pub(super) fn confirm(error: Error, path: &Path) -> Error {
    if let Error::Damaged { doing, cause, .. } = error {
        return Error::Damaged { doing, cause, is_confirmed: find(path).is_some() };
    }
    error
}

/// Checks the file after such reports while the service runs, and logs damage with what to do.
#[derive(Debug)]
pub(super) struct DamageCheck {
    path: PathBuf,
    last: Arc<Mutex<Option<Instant>>>,
}

impl DamageCheck {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), last: Arc::default() }
    }

    /// Notes the error of a unit or a read. The check has a thread of its own, because it may take long.
    pub(super) fn observe(&self, error: &Error) {
        if !matches!(error, Error::Damaged { .. }) {
            return;
        }
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| last.elapsed() < PAUSE) {
                return;
            }
            *last = Some(Instant::now());
        }
        let path = self.path.clone();
        let check = move || match find(&path) {
            Some(found) => tracing::error!(found, "{} is damaged; {RESCUE}", path.display()),
            None => {
                tracing::warn!("{} is sound, as far as it can be read; check the disk", path.display());
            }
        };
        // Without a thread the next report checks.
        let _ = std::thread::Builder::new().name("bos.db check".to_owned()).spawn(check);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("bos.db");
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch("CREATE TABLE texts (text TEXT); CREATE INDEX by_text ON texts (text)").unwrap();
        for number in 0..500 {
            conn.execute("INSERT INTO texts VALUES (?1)", [format!("{number:0>200}")]).unwrap();
        }
        path
    }

    #[test]
    fn a_sound_file_is_not_damaged_and_one_with_spoiled_pages_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(&folder);
        assert_eq!(find(&path), None);
        let mut bytes = std::fs::read(&path).unwrap();
        let length = bytes.len();
        bytes[4096..length - 4096].fill(0x5a);
        std::fs::write(&path, &bytes).unwrap();
        assert!(find(&path).is_some());
        bytes[..4096].fill(0x5a);
        std::fs::write(&path, &bytes).unwrap();
        assert!(find(&path).is_some(), "its header is spoiled");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_not_called_damaged() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(&folder.path().join("missing.db")), None);
    }
}
