//! The trace of a request: the caller's, or a new one whose id is the correlation id.

use std::convert::Infallible;
use std::num::NonZeroU128;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use engine::spans::{self, Span};
use engine::{Traceparent, trace_span};
use uuid::Uuid;

use telemetry::sampling::Sampling;

/// The place in a trace to which the effects of a request belong. An extractor for handlers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traced(pub(super) Option<Traceparent>);

impl<S: Send + Sync> FromRequestParts<S> for Traced {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(None)))
    }
}

/// The caller's place in its trace (W3C Trace Context), if the request has a valid `traceparent`.
pub(crate) fn of_caller(headers: &HeaderMap) -> Option<Traceparent> {
    headers.get(Traceparent::HEADER)?.to_str().ok()?.parse().ok()
}

/// Starts the span of a request. Requests for health, metrics and pages have none.
///
/// A trace that starts here has the correlation id as its trace id, so that one leads to the other.
pub(crate) fn begin(
    sampling: Sampling,
    caller: Option<Traceparent>,
    method: &'static str,
    route: &str,
    correlation: Uuid,
) -> (Traced, Option<Span>) {
    if !spans::is_enabled() || !route.starts_with("/v1/") || route == "/v1/healthz" {
        return (Traced(caller), None);
    }
    let begun = caller.map(Traceparent::trace).or_else(|| NonZeroU128::new(correlation.as_u128()));
    let at = begun.and_then(|trace| Traceparent::with_random_span(trace, sampling.keeps(trace, caller)));
    let span = at.filter(|at| at.is_sampled()).map(|at| {
        trace_span!(at, caller, "server", format!("{method} {route}");
            http.request.method = method,
            http.route = route,
            http.response.status_code = tracing::field::Empty,
            correlation.id = %correlation)
    });
    (Traced(at.or(caller)), span)
}

/// Records the status of the answer in the request's span; 500 and above is an error.
pub(crate) fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record_error(&status.to_string());
    }
}
