//! The names of the engine's metrics. Labels have values from closed sets, never ids.

use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Declares the names with their descriptions, for the docs and for `/metrics`.
macro_rules! names {
    ($($describe:ident $name:ident = $text:literal: $meaning:literal;)+) => {
        $(#[doc = $meaning] pub const $name: &str = $text;)+

        /// All names.
        #[cfg(test)]
        const ALL: &[&str] = &[$($name),+];

        /// Registers the descriptions with the recorder.
        pub fn describe() {
            $($describe!($name, $meaning);)+
        }
    };
}

names! {
    describe_counter ACCEPTED = "bos_essays_accepted_total": "Essays accepted.";
    describe_counter BATCHES = "bos_batches_accepted_total": "Batches accepted, by kind.";
    describe_counter NEWS = "bos_news_total": "News applied, by outcome.";
    describe_counter TEXTS_STORED = "bos_texts_stored_total": "Texts stored at the Content Service.";
    describe_counter ORPHANS = "bos_content_orphan_possible_total":
        "Texts that may be stored twice at the Content Service, because an answer was lost.";
    describe_counter CONTENT_FAILURES = "bos_content_failures_total":
        "Failed calls to the Content Service, by code.";
    describe_counter RELAYED = "bos_messages_relayed_total": "Messages moved from the outbox to the bus.";
    describe_counter SEND_FAILURES = "bos_send_failures_total":
        "Messages that the bus did not acknowledge, by code; each is retried or parked.";
    describe_gauge IN_FLIGHT = "bos_messages_in_flight": "Messages sent to the bus and not yet acknowledged.";
    describe_histogram OUTBOX_WAIT = "bos_outbox_wait_seconds":
        "Seconds from the commit of a message to its acknowledgement by the bus.";
    describe_counter CONSUMED = "bos_messages_consumed_total": "Messages consumed, by outcome.";
    describe_counter DEADLINES = "bos_deadlines_total": "Timers fired, by kind.";
    describe_counter INQUIRIES = "bos_lifecycle_inquiries_total":
        "Questions to the lifecycle service about batches whose phase is silent, by outcome.";
    describe_gauge DEPTH = "bos_queue_depth": "Rows waiting in a queue, by queue.";
    describe_gauge DEPTH_BYTES = "bos_queue_bytes": "Bytes waiting in a queue, by queue.";
    describe_gauge AGE = "bos_queue_age_seconds": "Age of the oldest row of a queue in seconds, by queue.";
    describe_gauge LEASES = "bos_leases_held": "Shards that this process holds a lease on.";
    describe_counter TAKEOVERS = "bos_lease_takeovers_total":
        "Leases taken over after another process let them expire, because it died or was cut off.";
    describe_gauge REPLICAS = "bos_replicas_alive": "Live processes of this service, as seen by this one.";
    describe_gauge OUTAGE = "bos_neighbour_trouble": "1 during an outage of a dependency, by dependency.";
    describe_gauge LAG = "bos_consumer_lag": "Records that are not consumed yet, by topic.";
    describe_gauge PARTITIONS = "bos_consumer_partitions": "Partitions assigned to this process.";
    describe_counter READER_PAUSES = "bos_reader_pauses_total":
        "Times that the reader paused fetching, because fetched records were not processed for a second.";
    describe_counter PRODUCERS_REPLACED = "bos_producers_replaced_total":
        "Producers replaced after a fatal error.";
    describe_histogram TURN = "bos_task_turn_seconds": "Seconds that one turn of a task took, by task.";
    describe_counter PARTITIONS_DROPPED = "bos_partitions_dropped_total":
        "Partitions of the table of sent messages that were dropped.";
    describe_counter PRUNED = "bos_rows_pruned_total": "Rows deleted after their retention, by table.";
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

/// Sets whether a dependency (`bus` or `content`) has an outage.
pub fn outage(dependency: &'static str, is_out: bool) {
    gauge!(OUTAGE, "neighbour" => dependency).set(f64::from(u8::from(is_out)));
}

/// Sets how many records of a topic the consumer has not consumed.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float by its format; lags stay far below 2^53")]
pub fn lag(topic: &str, records: i64) {
    gauge!(LAG, "topic" => topic.to_owned()).set(records as f64);
}

/// Sets how many partitions are assigned to this process.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float by its format; partitions are few")]
pub fn partitions(assigned: usize) {
    gauge!(PARTITIONS).set(assigned as f64);
}

/// Counts that a reader paused fetching, because fetched records were not taken.
pub fn reader_paused() {
    counter!(READER_PAUSES).increment(1);
}

/// Counts a producer that was replaced.
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
            assert!(page.contains(name), "docs/operations.md does not describe {name}");
        }
    }
}
