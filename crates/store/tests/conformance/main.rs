//! Every statement of the store on SQLite and on PostgreSQL, with the same expectations, and the two catalogs side by side.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the answer")]

#[path = "../support/databases.rs"]
mod databases;
#[path = "../support/samples.rs"]
mod samples;

mod audit;
mod batches;
mod bus;
mod catalog;
mod desk;
mod essays;
mod keeping;
mod messages;
mod partitions;
mod pinned;
mod promotion;
mod reads;
mod staged;
mod tokens;
mod work;

/// Runs a block as one unit on each database.
macro_rules! unit {
    ($store:ident, |$tx:ident| $body:block) => {
        $store
            .unit(store::Lane::Caller, |$tx| {
                Box::pin(async move {
                    $body;
                    Ok::<_, store::Error>(())
                })
            })
            .await
            .unwrap()
    };
}
pub(crate) use unit;
