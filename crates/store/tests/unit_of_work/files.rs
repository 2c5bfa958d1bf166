//! The SQLite file: its lock, visits of other processes, restarts, migrations.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use store::{Error, Lane, Store};

use crate::databases::noon;

/// The variable that names the file for the visiting process.
const VISITED: &str = "BOS_TEST_VISITED";

fn open(folder: &Path) -> Result<Store, Error> {
    Store::open_sqlite(&folder.join("bos.db"), Arc::new(noon))
}

async fn set(store: &Store, key: &'static str) {
    let unit = store.unit(Lane::Caller, move |tx| Box::pin(tx.set_meta(key, "set")));
    unit.await.map_err(|error: Error| error).unwrap();
}

#[tokio::test]
async fn a_second_process_on_the_same_file_is_rejected_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let refused = open(folder.path()).unwrap_err();
    assert!(matches!(refused, Error::Unfit { .. }));
    let message = refused.to_string();
    assert!(
        message.contains("in use by another bos process; stop it, or choose another data folder"),
        "{message}"
    );
    drop(first);
    open(folder.path()).unwrap();
}

/// The test process of the next test runs this; without the variable it does nothing.
#[test]
fn visitor() {
    let Some(path) = std::env::var_os(VISITED) else { return };
    let conn = rusqlite::Connection::open(path).unwrap();
    let facts: i64 = conn.query_row("SELECT count(*) FROM meta", [], |row| row.get(0)).unwrap();
    assert!(facts > 0);
}

#[tokio::test]
async fn a_visit_of_another_process_loses_nothing_in_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    set(&store, "before").await;
    let visit = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "files::visitor"])
        .env(VISITED, folder.path().join("bos.db"))
        .output()
        .unwrap();
    assert!(visit.status.success(), "{}", String::from_utf8_lossy(&visit.stdout));
    assert!(String::from_utf8_lossy(&visit.stdout).contains("1 passed"));
    set(&store, "after").await;

    // The files that a crash at this instant would leave.
    let crashed = tempfile::tempdir().unwrap();
    for name in ["bos.db", "bos.db-wal"] {
        std::fs::copy(folder.path().join(name), crashed.path().join(name)).unwrap();
    }
    let found = open(crashed.path()).unwrap();
    let facts = found.read(|tx| {
        Box::pin(async move { Ok::<_, Error>((tx.meta("before").await?, tx.meta("after").await?)) })
    });
    assert_eq!(facts.await.unwrap(), (Some("set".to_owned()), Some("set".to_owned())));
}

/// Fault F51 of `docs/reliability.md`.
#[tokio::test]
async fn a_long_read_blocks_no_write_and_the_log_is_truncated_after_it() {
    const LIMIT: u64 = 64 << 20;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let log = folder.path().join("bos.db-wal");
    let write = async |number: u32| {
        let unit = store.unit(Lane::Caller, move |tx| {
            Box::pin(async move { tx.set_meta(&format!("large {number}"), &"x".repeat(1 << 20)).await })
        });
        unit.await.map_err(|error: Error| error).unwrap();
        std::fs::metadata(&log).unwrap().len()
    };
    let reader = rusqlite::Connection::open(folder.path().join("bos.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM meta").unwrap();
    let mut size = 0;
    for number in 0..80 {
        size = write(number).await;
    }
    assert!(size > LIMIT, "the reader does not keep the log from being truncated: {size} bytes");

    reader.execute_batch("COMMIT").unwrap();
    for number in 80..84 {
        size = write(number).await;
    }
    assert!(size <= LIMIT, "the log still has {size} bytes");
    let last = store.read(|tx| Box::pin(async move { tx.meta("large 83").await }));
    assert!(last.await.unwrap().is_some());
}

#[tokio::test]
async fn acknowledged_writes_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    set(&open(folder.path()).unwrap(), "kept").await;
    let store = open(folder.path()).unwrap();
    let kept = store.peek(|tx| Box::pin(async move { tx.meta("kept").await })).await;
    assert_eq!(kept.map_err(|error: Error| error).unwrap().as_deref(), Some("set"));
}

#[test]
fn a_file_that_is_no_database_is_reported_as_damaged() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bos.db"), "not a database, whatever its name says".repeat(200))
        .unwrap();
    let message = open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("damaged"), "{message}");
}

#[test]
fn a_schema_of_a_newer_program_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let conn = rusqlite::Connection::open(folder.path().join("bos.db")).unwrap();
    conn.execute("UPDATE meta SET value = '99' WHERE key IN ('schema', 'min_reader')", []).unwrap();
    drop(conn);
    let message = open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("install a newer bos"), "{message}");
}

#[tokio::test]
async fn a_file_of_an_earlier_schema_is_migrated_and_a_backup_of_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let conn = rusqlite::Connection::open(folder.path().join("bos.db")).unwrap();
    conn.execute_batch(include_str!("../../migrations/sqlite/0001_base.sql")).unwrap();
    conn.execute("INSERT INTO meta VALUES ('schema', '1'), ('min_reader', '1'), ('kept', 'set')", [])
        .unwrap();
    drop(conn);
    // The file that a crash during an earlier backup would leave.
    std::fs::write(folder.path().join("bos.db.bak-1.part"), "half a backup").unwrap();

    let store = open(folder.path()).unwrap();
    let found = store.read(|tx| {
        Box::pin(async move { Ok::<_, Error>((tx.meta("schema").await?, tx.meta("kept").await?)) })
    });
    assert_eq!(found.await.unwrap(), (Some(store::SCHEMA.to_string()), Some("set".to_owned())));
    assert!(
        store.read(|tx| Box::pin(async move { tx.token("").await })).await.is_ok_and(|none| none.is_none())
    );

    let copy = rusqlite::Connection::open(folder.path().join("bos.db.bak-1")).unwrap();
    let schema: String =
        copy.query_row("SELECT value FROM meta WHERE key = 'schema'", [], |row| row.get(0)).unwrap();
    assert_eq!(schema, "1");
    assert!(!folder.path().join("bos.db.bak-1.part").exists());
}
