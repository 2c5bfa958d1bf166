//! One file per table: its row types, its statements, and the methods of [`Tx`](crate::Tx) that run them.

pub(crate) mod batches;
pub(crate) mod dead_letters;
pub(crate) mod essay_phases;
pub(crate) mod essays;
pub(crate) mod idempotency;
pub(crate) mod inbox;
pub(crate) mod labels;
pub(crate) mod leases;
pub(crate) mod local_log;
pub(crate) mod meta;
pub(crate) mod outbox;
pub(crate) mod staged_texts;
pub(crate) mod timeline;
pub(crate) mod timers;
pub(crate) mod tokens;

use chrono::{DateTime, TimeZone as _, Utc};

use crate::param::Param;

/// The low-water mark of a shard: where a search of a queue starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LowWaterMark<K> {
    /// The shard.
    pub shard: i64,
    /// The lowest key of a row that may be waiting, in the order in which the queue is read.
    pub low: K,
}

impl<K: Copy> LowWaterMark<K> {
    /// The rows of a statement's parameters.
    pub(crate) fn rows<'p>(marks: &[Self]) -> Vec<[Param<'p>; 2]>
    where
        Param<'p>: From<K>,
    {
        marks.iter().map(|mark| [mark.shard.into(), mark.low.into()]).collect()
    }
}

/// How many rows wait in a queue, and since when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Number of rows.
    pub rows: i64,
    /// When the oldest row became due or was added; `None` for an empty queue.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// Later than any row. The year has four digits, as in every stored time.
pub(crate) fn far_future() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(9999, 1, 1, 0, 0, 0).single().unwrap_or(DateTime::UNIX_EPOCH)
}
