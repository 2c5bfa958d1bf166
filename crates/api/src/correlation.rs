//! The outermost layer of every request: its correlation id, its span, its one log line and its metrics.

use std::convert::Infallible;
use std::time::Instant;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::Instrument as _;
use uuid::{Builder, Uuid};

use super::problem::{self, Code, Problem};
use super::trace;
use crate::metrics::{HTTP_REQUEST_SECONDS, HTTP_REQUESTS};
use telemetry::sampling::Sampling;

/// The header of the correlation id, in requests and in answers.
pub const CORRELATION_HEADER: HeaderName = HeaderName::from_static("x-correlation-id");

/// The id of everything that one request causes, in logs, events and traces. An extractor for handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CorrelationId(pub Uuid);

impl CorrelationId {
    /// The id that the caller sent, if it is a UUID. Anything else is ignored, because it would put foreign text into the log.
    fn sent(headers: &HeaderMap) -> Option<Self> {
        headers
            .get(CORRELATION_HEADER)?
            .to_str()
            .ok()?
            .parse()
            .ok()
            .filter(|id: &Uuid| !id.is_nil())
            .map(Self)
    }

    fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(Builder::from_random_bytes(bytes).into_uuid()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CorrelationId {
    type Rejection = Infallible;

    /// The nil id means that the request did not pass `correlate`; only a test can do that.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(Uuid::nil())))
    }
}

/// Gives the request its correlation id, and logs and measures its answer.
pub(crate) async fn correlate(
    State(sampling): State<Sampling>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let Ok(id) = CorrelationId::sent(request.headers()).map_or_else(CorrelationId::random, Ok) else {
        return Problem::new(Code::Unavailable, "The system provides no random numbers.").into_response();
    };
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let instance = request.uri().path().to_owned();
    let caller = trace::of_caller(request.headers());
    let (place, traced) = trace::begin(sampling, caller, method, &route, id.0);
    request.extensions_mut().insert(id);
    request.extensions_mut().insert(place);

    let traceparent = caller.map(tracing::field::display);
    let span = tracing::info_span!("request", correlation.id = %id.0, traceparent);
    let answer = async {
        let response = next.run(request).await;
        let (status, duration) = (response.status().as_u16(), began.elapsed());
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(method, route, status, duration_ms, "answered");
        if let Some(traced) = traced {
            trace::answered(&traced, status);
        }
        metrics::counter!(HTTP_REQUESTS, "method" => method, "route" => route.clone(), "status" => status.to_string())
            .increment(1);
        metrics::histogram!(HTTP_REQUEST_SECONDS, "method" => method, "route" => route).record(duration);
        response
    };
    let mut response = problem::complete(answer.instrument(span).await, &instance, id.0);
    if let Ok(value) = HeaderValue::from_str(&id.0.to_string()) {
        response.headers_mut().insert(CORRELATION_HEADER, value);
    }
    response
}

/// The method as a metric label, whose values must be a closed set.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
