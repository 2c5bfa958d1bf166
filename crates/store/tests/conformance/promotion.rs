//! What moves to another database, and that nothing is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use store::promotion::{LEFT_BEHIND, Promotion, TABLES, Value};
use store::{Error, Lane, Store};

use crate::databases::{noon, on_each};
use crate::samples::{essay, insert, text};

#[test]
fn every_table_moves_with_all_its_columns_or_is_named_as_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bos.db");
    drop(Store::open_sqlite(&file, Arc::new(noon)).unwrap());
    let conn = rusqlite::Connection::open(&file).unwrap();
    let columns: BTreeMap<String, BTreeSet<String>> = conn
        .prepare(
            "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'",
        )
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .fold(BTreeMap::new(), |mut tables, row: rusqlite::Result<(String, String)>| {
            let (table, column) = row.unwrap();
            tables.entry(table).or_insert_with(BTreeSet::new).insert(column);
            tables
        });
    for (table, columns) in &columns {
        let moving = TABLES.iter().find(|moving| moving.name == table);
        assert_eq!(moving.is_none(), LEFT_BEHIND.contains(&table.as_str()), "{table}");
        let Some(moving) = moving else { continue };
        let mut named: BTreeSet<String> =
            moving.columns.iter().map(|column| column.name.to_owned()).collect();
        if table == "outbox" {
            // Each database gives its own.
            named.insert("id".to_owned());
        }
        assert_eq!(columns, &named, "{table}");
    }
    assert_eq!(columns.len(), TABLES.len() + LEFT_BEHIND.len());
}

/// PostgreSQL keeps what JSON says and not how it was written.
fn plain(value: &mut Value) {
    if let Value::Json(Some(text)) = value {
        *text = serde_json::from_str::<serde_json::Value>(text).unwrap().to_string();
    }
}

/// All rows of all tables that move.
async fn everything(store: &Store) -> Vec<Vec<Vec<Value>>> {
    let mut tables = Vec::new();
    for table in TABLES {
        let rows = store.read(move |tx| Box::pin(tx.rows_that_move(table, None, 0)));
        let mut rows: Vec<Vec<Value>> = rows.await.unwrap();
        rows.iter_mut().flatten().for_each(plain);
        tables.push(rows);
    }
    tables
}

#[tokio::test]
async fn rows_are_the_same_when_they_are_read_from_where_they_were_poured() {
    let folder = tempfile::tempdir().unwrap();
    let source = Store::open_sqlite(&folder.path().join("bos.db"), Arc::new(noon)).unwrap();
    let unit = source.unit(Lane::Caller, |tx| {
        Box::pin(async move {
            let id = insert(tx, 1, 3).await;
            tx.texts_stored(id, &[(essay(1, 0), text("0a"), 7)]).await?;
            tx.list_texts().await?;
            tx.settle_texts(&[("0a".to_owned(), Some("new-1".to_owned()))]).await?;
            tx.rename_texts().await?;
            tx.reshard(64).await
        })
    });
    unit.await.unwrap();
    let sent = Arc::new(everything(&source).await);
    let essays = TABLES.iter().position(|table| table.name == "essays").unwrap();
    assert!(sent[essays][0].contains(&Value::Text(Some("new-1".to_owned()))), "it has its new id");
    assert_eq!(sent[essays].len(), 3);

    on_each(async |target| {
        let rows = Arc::clone(&sent);
        let unit = target.unit(Lane::Task, move |tx| {
            let rows = Arc::clone(&rows);
            Box::pin(async move {
                for (table, rows) in TABLES.iter().zip(rows.iter()) {
                    tx.pour(table, rows).await?;
                }
                tx.first_table_in_use().await
            })
        });
        assert_eq!(unit.await.unwrap(), Some("batches"));
        assert!(everything(&target).await == *sent, "as they left");
        let last = sent[essays][1].clone();
        let rest = target.read(move |tx| {
            Box::pin(async move { tx.rows_that_move(&TABLES[essays], Some(&last), 0).await })
        });
        assert!(rest.await.unwrap() == sent[essays][2..], "a page goes on behind a row");
    })
    .await;
    source.close().await;
}

#[tokio::test]
async fn a_target_is_of_the_promotion_that_came_first() {
    on_each(async |store| {
        let claim = |id| {
            let unit = store.unit(Lane::Task, move |tx| {
                let promotion = Promotion { id: uuid::Uuid::from_u128(id), poured: vec![0], is_done: false };
                Box::pin(async move { tx.claim_promotion(promotion).await })
            });
            async { Ok::<_, Error>(unit.await?.id.as_u128()) }
        };
        assert_eq!(claim(1).await.unwrap(), 1);
        assert_eq!(claim(2).await.unwrap(), 1);
    })
    .await;
}
