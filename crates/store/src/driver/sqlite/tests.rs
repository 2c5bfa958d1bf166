use std::path::Path;
use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};

use chrono::{DateTime, Utc};
use futures::poll;

use super::*;
use crate::Store;
use crate::sql::Sql;

fn store(folder: &tempfile::TempDir) -> Store {
    Store::open_sqlite(&folder.path().join("bos.db"), Arc::new(|| DateTime::<Utc>::UNIX_EPOCH)).unwrap()
}

/// The value of a key in `meta` as another connection sees it, that is, if it is committed.
fn committed(folder: &Path, key: &str) -> Option<String> {
    use rusqlite::OptionalExtension as _;
    let conn = Connection::open(folder.join("bos.db")).unwrap();
    conn.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional().unwrap()
}

async fn set(store: &Store, key: &'static str) -> Result<(), Error> {
    store.unit(Lane::Caller, move |tx| Box::pin(tx.set_meta(key, "set"))).await
}

/// A unit that signals when it runs and ends on request, so that other units join its group.
struct Held {
    running: Receiver<()>,
    end: Sender<()>,
}

fn held(store: &Store) -> (Held, impl Future<Output = Result<(), Error>>) {
    let ((signal, running), (end, allowed)) = (channel(), channel());
    let unit = store.unit(Lane::Caller, move |_| {
        signal.send(()).unwrap();
        allowed.recv().unwrap();
        Box::pin(async { Ok(()) })
    });
    (Held { running, end }, unit)
}

#[tokio::test]
async fn a_unit_gets_its_reply_after_the_commit_of_its_group_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let (first, first_unit) = held(&store);
    let (last, last_unit) = held(&store);
    let (mut first_unit, mut unit, mut last_unit) =
        (pin!(first_unit), pin!(set(&store, "a")), pin!(last_unit));
    assert!(poll!(&mut first_unit).is_pending());
    assert!(poll!(&mut unit).is_pending());
    assert!(poll!(&mut last_unit).is_pending());
    first.end.send(()).unwrap();
    last.running.recv().unwrap();
    assert!(poll!(&mut unit).is_pending(), "it has run, and its group has not committed");
    assert_eq!(committed(folder.path(), "a"), None);
    last.end.send(()).unwrap();
    unit.await.unwrap();
    assert_eq!(committed(folder.path(), "a").as_deref(), Some("set"));
}

#[tokio::test]
async fn an_error_a_panic_or_a_foreign_await_rolls_back_its_own_unit_and_no_other_of_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let (gate, gate_unit) = held(&store);
    let failing = store.unit(Lane::Caller, |tx| {
        Box::pin(async move {
            tx.set_meta("failed", "set").await?;
            Err::<(), _>(Error::corrupt("meta", "value", ""))
        })
    });
    let panicking = store.unit::<(), Error, _>(Lane::Caller, |tx| {
        Box::pin(async move {
            tx.set_meta("panicked", "set").await?;
            panic!("on purpose")
        })
    });
    let waiting = store.unit(Lane::Caller, |tx| {
        Box::pin(async move {
            tx.set_meta("waited", "set").await?;
            tokio::task::yield_now().await;
            Ok::<_, Error>(())
        })
    });
    let all =
        futures::future::join5(set(&store, "before"), failing, panicking, waiting, set(&store, "after"));
    let (mut gate_unit, mut all) = (pin!(gate_unit), pin!(all));
    assert!(poll!(&mut gate_unit).is_pending());
    assert!(poll!(&mut all).is_pending());
    gate.end.send(()).unwrap();
    let (before, failed, panicked, waited, after) = all.await;
    before.unwrap();
    after.unwrap();
    assert!(matches!(failed, Err(Error::Corrupt { .. })));
    assert!(matches!(panicked, Err(Error::Defect { .. })));
    assert!(matches!(waited, Err(Error::Defect { .. })));
    for (key, value) in [
        ("before", Some("set")),
        ("failed", None),
        ("panicked", None),
        ("waited", None),
        ("after", Some("set")),
    ] {
        assert_eq!(committed(folder.path(), key).as_deref(), value, "{key}");
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_whole_group_and_the_next_group_commits() {
    const PAGES: Sql = Sql::both("", "limit the file", "PRAGMA max_page_count = 1");
    const UNLIMITED: Sql = Sql::both("", "unlimit the file", "PRAGMA max_page_count = 1000000");
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let (gate, gate_unit) = held(&store);
    // SQLite raises the limit to the file's present size: every further page exceeds it.
    let filling = store.unit(Lane::Caller, |tx| {
        Box::pin(async move {
            tx.one(PAGES, &[], |_| Ok(())).await?;
            tx.set_meta("large", &"x".repeat(1 << 20)).await
        })
    });
    let all = futures::future::join(set(&store, "before"), filling);
    let (mut gate_unit, mut all) = (pin!(gate_unit), pin!(all));
    assert!(poll!(&mut gate_unit).is_pending());
    assert!(poll!(&mut all).is_pending());
    gate.end.send(()).unwrap();
    let (before, filled) = all.await;
    assert!(matches!(before, Err(Error::Full { .. })), "{before:?}");
    assert!(matches!(filled, Err(Error::Full { .. })), "{filled:?}");
    assert!(filled.unwrap_err().is_transient());
    assert_eq!(committed(folder.path(), "before"), None);

    let unlimited = store.unit(Lane::Caller, |tx| Box::pin(tx.one(UNLIMITED, &[], |_| Ok(()))));
    unlimited.await.unwrap();
    set(&store, "later").await.unwrap();
    assert_eq!(committed(folder.path(), "later").as_deref(), Some("set"));
}

#[tokio::test]
async fn a_bulk_unit_yields_to_short_ones_and_has_a_group_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let (signal, order) = channel();
    let unit = |size, name: &'static str| {
        let signal = signal.clone();
        store.unit(size, move |_| {
            signal.send(name).unwrap();
            Box::pin(async { Ok::<_, Error>(()) })
        })
    };
    let (gate, gate_unit) = held(&store);
    let all = futures::future::join3(
        unit(Lane::Bulk, "large"),
        unit(Lane::Caller, "one"),
        unit(Lane::Caller, "two"),
    );
    let (mut gate_unit, mut all) = (pin!(gate_unit), pin!(all));
    assert!(poll!(&mut gate_unit).is_pending());
    assert!(poll!(&mut all).is_pending());
    gate.end.send(()).unwrap();
    let (large, one, two) = all.await;
    large.and(one).and(two).unwrap();
    assert_eq!(order.try_iter().collect::<Vec<_>>(), ["one", "two", "large"]);
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let written = store.read(|tx| Box::pin(tx.set_meta("a", "set"))).await;
    assert!(written.is_err());
    assert_eq!(committed(folder.path(), "a"), None);
}

#[test]
fn every_connection_syncs_at_every_commit_and_uses_a_write_ahead_log() {
    let folder = tempfile::tempdir().unwrap();
    for writes in [true, false] {
        let conn = connect(&folder.path().join("bos.db"), writes).unwrap();
        let setting = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(setting("synchronous"), 2, "FULL");
        assert_eq!(setting("trusted_schema"), 0);
        assert_eq!(
            setting("secure_delete"),
            2,
            "FAST: deleted content is overwritten where that writes no further page"
        );
        let journal: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(journal, "wal");
    }
}
