//! Promotion: which tables are copied, and that they arrive unchanged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use store::promotion::{EXCLUDED_TABLES, Promotion, TABLES, Value};
use store::{Error, Lane, Store};

use crate::databases::{noon, on_each};
use crate::samples::{essay, insert, stored, text};

#[test]
fn every_table_is_copied_with_all_its_columns_or_listed_as_excluded() {
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
        let copied = TABLES.iter().find(|copied| copied.name == table);
        assert_eq!(copied.is_none(), EXCLUDED_TABLES.contains(&table.as_str()), "{table}");
        let Some(copied) = copied else { continue };
        let mut named: BTreeSet<String> =
            copied.columns.iter().map(|column| column.name.to_owned()).collect();
        if table == "outbox" {
            // Assigned by each database.
            named.insert("id".to_owned());
        }
        assert_eq!(columns, &named, "{table}");
    }
    assert_eq!(columns.len(), TABLES.len() + EXCLUDED_TABLES.len());
}

/// Normalizes JSON, since PostgreSQL does not keep its formatting.
fn normalize(value: &mut Value) {
    if let Value::Json(Some(text)) = value {
        *text = serde_json::from_str::<serde_json::Value>(text).unwrap().to_string();
    }
}

/// All rows of all copied tables.
async fn everything(store: &Store) -> Vec<Vec<Vec<Value>>> {
    let mut tables = Vec::new();
    for table in TABLES {
        let rows = store.read(move |tx| Box::pin(tx.promoted_rows(table, None, 0)));
        let mut rows: Vec<Vec<Value>> = rows.await.unwrap();
        rows.iter_mut().flatten().for_each(normalize);
        tables.push(rows);
    }
    tables
}

#[tokio::test]
async fn copied_rows_are_read_unchanged_from_the_target() {
    let folder = tempfile::tempdir().unwrap();
    let source = Store::open_sqlite(&folder.path().join("bos.db"), Arc::new(noon)).unwrap();
    let unit = source.unit(Lane::Caller, |tx| {
        Box::pin(async move {
            let id = insert(tx, 1, 3).await;
            tx.record_stored_texts(id, &[stored(essay(1, 0), text("0a"), 7)]).await?;
            tx.collect_texts().await?;
            tx.record_text_ids(&[("0a".to_owned(), Some("new-1".to_owned()))]).await?;
            tx.replace_text_ids().await?;
            tx.reshard(64).await
        })
    });
    unit.await.unwrap();
    let sent = Arc::new(everything(&source).await);
    let essays = TABLES.iter().position(|table| table.name == "essays").unwrap();
    assert!(sent[essays][0].contains(&Value::Text(Some("new-1".to_owned()))), "the text has its new id");
    assert_eq!(sent[essays].len(), 3);

    on_each(async |target| {
        let rows = Arc::clone(&sent);
        let unit = target.unit(Lane::Task, move |tx| {
            let rows = Arc::clone(&rows);
            Box::pin(async move {
                for (table, rows) in TABLES.iter().zip(rows.iter()) {
                    tx.insert_rows(table, rows).await?;
                }
                tx.first_nonempty_table().await
            })
        });
        assert_eq!(unit.await.unwrap(), Some("batches"));
        assert!(everything(&target).await == *sent, "the rows are unchanged");
        let last = sent[essays][1].clone();
        let rest = target
            .read(move |tx| Box::pin(async move { tx.promoted_rows(&TABLES[essays], Some(&last), 0).await }));
        assert!(rest.await.unwrap() == sent[essays][2..], "a page continues after a row");
    })
    .await;
    source.close().await;
}

#[tokio::test]
async fn the_first_promotion_to_claim_a_target_holds_it() {
    on_each(async |store| {
        let claim = |id| {
            let unit = store.unit(Lane::Task, move |tx| {
                let promotion = Promotion { id: uuid::Uuid::from_u128(id), copied: vec![0], is_done: false };
                Box::pin(async move { tx.claim_promotion(promotion).await })
            });
            async { Ok::<_, Error>(unit.await?.id.as_u128()) }
        };
        assert_eq!(claim(1).await.unwrap(), 1);
        assert_eq!(claim(2).await.unwrap(), 1);
    })
    .await;
}
