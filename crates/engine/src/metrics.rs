//! The names of the engine's metrics, in one place. Labels come from closed sets, never ids.

use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Declares the names with their meaning, for readers here and for whoever reads `/metrics`.
macro_rules! names {
    ($($describe:ident $name:ident = $text:literal: $meaning:literal;)+) => {
        $(#[doc = $meaning] pub const $name: &str = $text;)+

        /// All of them.
        #[cfg(test)]
        const ALL: &[&str] = &[$($name),+];

        /// Tells the recorder what the names mean.
        pub fn describe() {
            $($describe!($name, $meaning);)+
        }
    };
}

names! {
    describe_counter ACCEPTED = "bos_essays_accepted_total": "Essays accepted.";
    describe_counter BATCHES = "bos_batches_accepted_total": "Batches accepted, by kind.";
    describe_counter NEWS = "bos_news_total": "News applied, by what came of it.";
    describe_counter TEXTS_STORED = "bos_texts_stored_total": "Texts stored at the Content Service.";
    describe_counter ORPHANS = "bos_content_orphan_possible_total":
        "Texts that may have been stored twice, because an answer was lost.";
    describe_counter CONTENT_FAILURES = "bos_content_failures_total":
        "Calls to the Content Service that failed, by code.";
    describe_counter RELAYED = "bos_messages_relayed_total": "Messages moved from the outbox onto the bus.";
    describe_counter SEND_FAILURES = "bos_send_failures_total":
        "Messages that the bus did not acknowledge, by code; each is sent again or set aside.";
    describe_gauge IN_FLIGHT = "bos_messages_in_flight": "Messages handed to the bus and not yet acknowledged.";
    describe_histogram OUTBOX_WAIT = "bos_outbox_wait_seconds":
        "Seconds from a message's commit to the bus's acknowledgement.";
    describe_counter CONSUMED = "bos_messages_consumed_total": "Messages read, by what became of them.";
    describe_counter DEADLINES = "bos_deadlines_total": "Deadlines that passed, by kind of timer.";
    describe_gauge DEPTH = "bos_queue_depth": "Rows waiting in a queue.";
    describe_gauge DEPTH_BYTES = "bos_queue_bytes": "Bytes waiting in a queue.";
    describe_gauge AGE = "bos_queue_age_seconds": "Seconds that the oldest row of a queue has waited.";
    describe_gauge LEASES = "bos_leases_held": "Shards that this process works.";
    describe_counter TAKEOVERS = "bos_lease_takeovers_total":
        "Leases taken over from a process that had let them run out: it died, or was cut off.";
    describe_gauge REPLICAS = "bos_replicas_alive": "Processes of this service that live, as this one sees them.";
    describe_gauge TROUBLE = "bos_neighbour_trouble": "1 while a neighbour cannot be used, by neighbour.";
    describe_gauge LAG = "bos_consumer_lag": "Records of a topic that were not consumed yet.";
    describe_gauge PARTITIONS = "bos_consumer_partitions": "Partitions that this process consumes.";
    describe_counter READER_PAUSES = "bos_reader_pauses_total":
        "Times that nothing more was fetched, because what had been read was not dealt with for a second.";
    describe_counter PRODUCERS_REPLACED = "bos_producers_replaced_total":
        "Producers that had to be replaced after a fatal error.";
    describe_histogram TURN = "bos_task_turn_seconds": "Seconds that one turn of a task took.";
    describe_counter PARTITIONS_DROPPED = "bos_partitions_dropped_total":
        "Partitions of sent messages that were dropped whole.";
    describe_counter PRUNED = "bos_rows_pruned_total": "Rows pruned, by table.";
}

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

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float by its format; shards and processes are few"
)]
pub(crate) fn leases(held: usize, replicas: i64, taken_over: usize) {
    gauge!(LEASES).set(held as f64);
    gauge!(REPLICAS).set(replicas as f64);
    counter!(TAKEOVERS).increment(taken_over as u64);
}

/// Says whether a neighbour can be used just now.
pub fn trouble(neighbour: &'static str, is_in_trouble: bool) {
    gauge!(TROUBLE, "neighbour" => neighbour).set(f64::from(u8::from(is_in_trouble)));
}

/// Says how far the consumer is behind on a topic, of which there are few.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float by its format; lags stay far below 2^53")]
pub fn lag(topic: &str, records: i64) {
    gauge!(LAG, "topic" => topic.to_owned()).set(records as f64);
}

/// Says how many partitions this process consumes.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float by its format; partitions are few")]
pub fn partitions(assigned: usize) {
    gauge!(PARTITIONS).set(assigned as f64);
}

/// Counts a time that a reader stopped fetching, since nobody took what it had.
pub fn reader_paused() {
    counter!(READER_PAUSES).increment(1);
}

/// Counts a producer that had to be replaced.
pub fn producer_replaced() {
    counter!(PRODUCERS_REPLACED).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float by its format; the window is small")]
pub(crate) fn in_flight(messages: usize) {
    gauge!(IN_FLIGHT).set(messages as f64);
}

pub(crate) fn outbox_wait(waited: chrono::TimeDelta) {
    histogram!(OUTBOX_WAIT).record(waited.to_std().unwrap_or_default().as_secs_f64());
}

pub(crate) fn turn(task: &'static str, took: std::time::Duration) {
    histogram!(TURN, "task" => task).record(took.as_secs_f64());
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_metric_is_on_the_operators_page() {
        let page = include_str!("../../../docs/operations.md");
        for name in super::ALL {
            assert!(page.contains(name), "docs/operations.md does not say what {name} is for");
        }
    }
}
