//! The names of the engine's metrics, in one place. Labels come from closed sets, never ids.

use ::metrics::{counter, gauge, histogram};

/// Essays accepted.
pub const ACCEPTED: &str = "bos_essays_accepted_total";
/// Batches accepted, by kind.
pub const BATCHES: &str = "bos_batches_accepted_total";
/// News applied, by what came of it.
pub const NEWS: &str = "bos_news_total";
/// Texts stored at the Content Service.
pub const TEXTS_STORED: &str = "bos_texts_stored_total";
/// Texts that may have been stored twice, because an answer was lost.
pub const ORPHANS: &str = "bos_content_orphan_possible_total";
/// Calls to the Content Service that failed, by code.
pub const CONTENT_FAILURES: &str = "bos_content_failures_total";
/// Messages moved to the bus.
pub const RELAYED: &str = "bos_messages_relayed_total";
/// Messages read, by what became of them: `applied`, `duplicate`, `foreign`, `dead_letter`, `stale`.
pub const CONSUMED: &str = "bos_messages_consumed_total";
/// Deadlines that passed, by kind of timer.
pub const DEADLINES: &str = "bos_deadlines_total";
/// Rows waiting in a queue.
pub const DEPTH: &str = "bos_queue_depth";
/// Bytes waiting in a queue.
pub const DEPTH_BYTES: &str = "bos_queue_bytes";
/// Seconds that the oldest row of a queue has waited.
pub const AGE: &str = "bos_queue_age_seconds";
/// Seconds that one turn of a task took.
pub const TURN: &str = "bos_task_turn_seconds";
/// Rows pruned, by table.
pub const PRUNED: &str = "bos_rows_pruned_total";

pub(crate) fn count(name: &'static str, label: Option<(&'static str, &'static str)>, n: u64) {
    match label {
        Some((key, value)) => counter!(name, key => value).increment(n),
        None => counter!(name).increment(n),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float by its format; depths stay far below 2^53"
)]
pub(crate) fn depth(queue: &'static str, rows: i64, bytes: Option<i64>, age: Option<chrono::TimeDelta>) {
    gauge!(DEPTH, "queue" => queue).set(rows as f64);
    if let Some(bytes) = bytes {
        gauge!(DEPTH_BYTES, "queue" => queue).set(bytes as f64);
    }
    gauge!(AGE, "queue" => queue).set(age.map_or(0.0, |age| age.num_milliseconds() as f64 / 1000.0));
}

pub(crate) fn turn(task: &'static str, took: std::time::Duration) {
    histogram!(TURN, "task" => task).record(took.as_secs_f64());
}
