//! The names of the API's metrics. Label values come from closed sets and are never ids.

use metrics::{Unit, describe_counter, describe_histogram};

/// Requests answered, by `method`, `route` (the pattern that matched, or `unmatched`) and `status`.
pub(crate) const HTTP_REQUESTS: &str = "bos_http_requests_total";

/// Seconds from the header of a request to the header of its answer, by `method` and `route`.
pub(crate) const HTTP_REQUEST_SECONDS: &str = "bos_http_request_duration_seconds";

/// Requests refused because of their caller, by `reason`: authentication, authorization, its limit, or a foreign host or origin.
pub(crate) const CALLERS_REFUSED: &str = "bos_callers_refused_total";

/// Connections that a limit of the accept loop closed, by `reason`: `peer_limit`, `slow_reader`.
pub(crate) const CONNECTIONS_CLOSED: &str = "bos_connections_closed_total";

/// Describes the metrics to the recorder.
pub(crate) fn describe() {
    describe_counter!(HTTP_REQUESTS, "Requests answered");
    describe_counter!(CALLERS_REFUSED, "Requests refused because of their caller");
    describe_counter!(CONNECTIONS_CLOSED, "Connections that a limit of the accept loop closed");
    describe_histogram!(
        HTTP_REQUEST_SECONDS,
        Unit::Seconds,
        "Time from the header of a request to the header of its answer"
    );
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_metric_of_the_api_is_in_the_operations_page() {
        let page = include_str!("../../../docs/operations.md");
        for name in [
            super::HTTP_REQUESTS,
            super::HTTP_REQUEST_SECONDS,
            super::CALLERS_REFUSED,
            super::CONNECTIONS_CLOSED,
        ] {
            assert!(page.contains(name), "docs/operations.md does not say what {name} is for");
        }
    }
}
