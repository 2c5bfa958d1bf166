//! The names of this crate's metrics, in one place. Labels come from closed sets and are never ids.

use metrics::describe_counter;

/// Spans of traces that the collector took.
pub(crate) const SPANS_EXPORTED: &str = "bos_spans_exported_total";

/// Spans of traces that were dropped, by `reason`: `queue_full`, `export_failed`.
pub(crate) const SPANS_DROPPED: &str = "bos_spans_dropped_total";

/// Lines that the log does not contain, by `reason`: `queue_full`, `rate`.
pub(crate) const LOG_LINES_DROPPED: &str = "bos_log_lines_dropped_total";

/// Bounds of the duration histograms, in seconds.
pub(crate) const SECONDS_BUCKETS: [f64; 12] =
    [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Tells the recorder what the names mean.
pub(crate) fn describe() {
    describe_counter!(SPANS_EXPORTED, "Spans of traces that the collector took");
    describe_counter!(SPANS_DROPPED, "Spans of traces that were dropped, by reason");
    describe_counter!(LOG_LINES_DROPPED, "Lines that the log does not contain, by reason");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_metric_of_this_crate_is_on_the_operators_page() {
        let page = include_str!("../../../docs/operations.md");
        for name in [super::SPANS_EXPORTED, super::SPANS_DROPPED, super::LOG_LINES_DROPPED] {
            assert!(page.contains(name), "docs/operations.md does not say what {name} is for");
        }
    }
}
