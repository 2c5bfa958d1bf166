use super::*;

fn insert(conn: &Connection, id: u8) -> rusqlite::Result<usize> {
    conn.execute("INSERT INTO contents (storage_id, body) VALUES (?1, x'00')", [[id; 16]])
}

fn count(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("SELECT count(*) FROM contents", [], |row| row.get(0))
}

#[tokio::test]
async fn a_failed_write_is_rolled_back_and_the_others_of_its_group_are_committed() {
    let dir = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::open(&dir.path().join("companions.db")).unwrap());
    let writes = (0..40u8).map(|number| {
        database.write("try", move |conn| {
            insert(conn, number)?;
            if number % 4 == 0 { insert(conn, number) } else { Ok(1) }
        })
    });
    let outcomes = futures::future::join_all(writes).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), number % 4 == 0, "{number}");
    }
    assert_eq!(database.read("count", count).await.unwrap(), 30);
}

#[tokio::test]
async fn an_answered_write_survives_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("companions.db");
    let database = Database::open(&path).unwrap();
    database.write("insert", |conn| insert(conn, 1)).await.unwrap();
    drop(database);
    let database = Arc::new(Database::open(&path).unwrap());
    assert_eq!(database.read("count", count).await.unwrap(), 1);
}

#[test]
fn a_file_of_an_earlier_program_gets_the_column_that_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("companions.db");
    drop(Database::open(&path).unwrap());
    Connection::open(&path).unwrap().execute_batch("ALTER TABLE els_essays DROP COLUMN moved_by").unwrap();
    drop(Database::open(&path).unwrap());
    drop(Database::open(&path).unwrap());
    Connection::open(&path).unwrap().prepare("SELECT moved_by FROM els_essays").unwrap();
}

#[tokio::test]
async fn a_lost_transaction_fails_every_write_of_its_group() {
    let dir = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::open(&dir.path().join("companions.db")).unwrap());
    // SQLite does this by itself when the disk is full.
    let lost = database.write("lose", |conn| {
        insert(conn, 1)?;
        conn.execute_batch("ROLLBACK")
    });
    assert!(lost.await.is_err());
    assert_eq!(database.read("count", count).await.unwrap(), 0);
    database.write("insert", |conn| insert(conn, 2)).await.unwrap();
    assert_eq!(database.read("count", count).await.unwrap(), 1);
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::open(&dir.path().join("companions.db")).unwrap());
    assert!(database.read("write", |conn| insert(conn, 1)).await.is_err());
}

#[test]
fn the_writer_syncs_to_disk() {
    let dir = tempfile::tempdir().unwrap();
    let conn = connect(&dir.path().join("companions.db"), true).unwrap();
    let synchronous: i64 = conn.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    let journal: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!((synchronous, journal.as_str()), (2, "wal"));
}
