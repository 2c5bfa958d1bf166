//! The tables that move: how they are read, summed up and compared.

use store::Store;
use store::promotion::{TABLES, Table, Value};

use super::checksum::Sum;
use super::error::Error;

/// The shards of an installation on PostgreSQL; its migration says so too.
pub(super) const SHARDS: i64 = 64;

/// Tables of which every row arrives as it left: nothing of them is a shard, an id of a text or a message.
pub(super) fn arrives_unchanged(table: &str) -> bool {
    matches!(table, "tokens" | "labels" | "idempotency")
}

/// Tables of which as many rows arrive as left.
pub(super) fn keeps_its_number(table: &str) -> bool {
    arrives_unchanged(table) || matches!(table, "batches" | "essays" | "staged_texts")
}

/// A page of the rows of a table that move.
pub(super) async fn page(
    store: &Store,
    table: &'static Table,
    after: Option<Vec<Value>>,
    skip: u64,
) -> Result<Vec<Vec<Value>>, store::Error> {
    store.read(move |tx| Box::pin(async move { tx.promoted_rows(table, after.as_deref(), skip).await })).await
}

/// The checksums of a database's tables, with a look at each row.
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
