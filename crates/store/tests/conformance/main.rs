//! Every statement of the store on SQLite and on PostgreSQL, with the same expectations, and a comparison of the two catalogs.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the failure of the test")]

mod audit;
mod batches;
mod catalog;
mod essays;
mod leases_and_timers;
mod local_log;
mod messages;
mod operator;
mod partitions;
mod pinned;
mod promotion;
mod reads;
mod retention;
mod samples;
mod staged;
mod tokens;

use testbed::databases;

/// Runs a block as one unit on each database.
macro_rules! unit {
    ($store:ident, |$tx:ident| $body:block) => {
        $store
            .unit(store::Lane::Caller, move |$tx| {
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
