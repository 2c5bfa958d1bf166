//! The names of the edge's metrics, in one place. Labels come from closed sets and are never ids.

use metrics::{Unit, describe_counter, describe_histogram};

/// Requests answered, by `method`, `route` (the pattern that matched, or `unmatched`) and `status`.
pub const HTTP_REQUESTS: &str = "bos_http_requests_total";

/// Seconds from a request's header to its answer's header, by `method` and `route`.
pub const HTTP_REQUEST_SECONDS: &str = "bos_http_request_duration_seconds";

/// Requests refused for who makes them, by `reason`.
pub const CALLERS_REFUSED: &str = "bos_callers_refused_total";

/// Spans of traces that the collector took.
pub const SPANS_EXPORTED: &str = "bos_spans_exported_total";

/// Spans of traces that nobody will see, by `reason`: `queue_full`, `export_failed`.
pub const SPANS_DROPPED: &str = "bos_spans_dropped_total";

/// Bounds of the duration histograms, in seconds.
pub(crate) const SECONDS_BUCKETS: [f64; 12] =
    [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Tells the recorder what the names mean.
pub(crate) fn describe() {
    engine::metrics::describe();
    describe_counter!(HTTP_REQUESTS, "Requests answered");
    describe_counter!(SPANS_EXPORTED, "Spans of traces that the collector took");
    describe_counter!(SPANS_DROPPED, "Spans of traces that were dropped, by reason");
    describe_counter!(CALLERS_REFUSED, "Requests refused for who makes them");
    describe_histogram!(
        HTTP_REQUEST_SECONDS,
        Unit::Seconds,
        "Time from a request's header to its answer's header"
    );
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_metric_of_the_edge_is_on_the_operators_page() {
        let page = include_str!("../../../docs/operations.md");
        let names = [
            super::HTTP_REQUESTS,
            super::HTTP_REQUEST_SECONDS,
            super::CALLERS_REFUSED,
            super::SPANS_EXPORTED,
            super::SPANS_DROPPED,
        ];
        for name in names {
            assert!(page.contains(name), "docs/operations.md does not say what {name} is for");
        }
    }
}
