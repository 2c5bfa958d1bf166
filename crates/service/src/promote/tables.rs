//! The tables that move: reading pages, checksums, and what may differ between source and target.

use store::Store;
use store::promotion::{TABLES, Table, Value};

use super::checksum::Sum;
use super::error::Error;

/// The number of shards of an installation on PostgreSQL, as in its migration.
pub(super) const SHARDS: i64 = 64;

/// Whether every row of the table is the same in source and target, because it has no shard, no id of a text and no message.
pub(super) fn arrives_unchanged(table: &str) -> bool {
    matches!(table, "tokens" | "labels" | "idempotency")
}

/// Whether the table has the same number of rows in source and target.
pub(super) fn keeps_its_number(table: &str) -> bool {
    arrives_unchanged(table) || matches!(table, "batches" | "essays" | "staged_texts")
}

/// A page of the rows of a table that move, after the row `after`, or without the first `skip` rows.
pub(super) async fn page(
    store: &Store,
    table: &'static Table,
    after: Option<Vec<Value>>,
    skip: u64,
) -> Result<Vec<Vec<Value>>, store::Error> {
    store.read(move |tx| Box::pin(async move { tx.promoted_rows(table, after.as_deref(), skip).await })).await
}

/// The checksums of the tables of one side. `look` is called with each row and can stop the run.
pub(super) async fn sums(
    store: &Store,
    side: &'static str,
    look: impl Fn(&Table, &[Value]) -> Result<(), Error>,
) -> Result<Vec<Sum>, Error> {
    let mut sums = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let (mut sum, mut last) = (Sum::default(), None);
        loop {
            let page = page(store, table, last.take(), 0).await.map_err(Error::of(side))?;
            for row in &page {
                look(table, row)?;
                sum.add(row);
            }
            let Some(row) = page.into_iter().next_back() else { break };
            last = Some(row);
        }
        sums.push(sum);
    }
    Ok(sums)
}
