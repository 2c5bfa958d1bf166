//! A request's place in a trace: its caller's, or one that begins here under the request's correlation id.

use std::convert::Infallible;
use std::num::NonZeroU128;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use engine::spans::{self, Span};
use engine::{Traceparent, trace_span};
use uuid::Uuid;

use telemetry::sampling::Sampling;

/// Where everything that a request sets in motion belongs; an extractor for handlers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traced(pub(super) Option<Traceparent>);

impl<S: Send + Sync> FromRequestParts<S> for Traced {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(None)))
    }
}

/// The caller's place (W3C Trace Context).
pub(crate) fn of_caller(headers: &HeaderMap) -> Option<Traceparent> {
    headers.get(Traceparent::HEADER)?.to_str().ok()?.parse().ok()
}

/// Begins a request. What looks at the process itself, and pages for people, belong to no trace.
///
/// A trace that begins here has the correlation id as its id: whoever knows the one finds the other.
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

/// Says what became of it.
pub(crate) fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record_error(&status.to_string());
    }
}
