//! Successful HTTP responses: documents, and the answers of commands.

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use engine::Receipt;
use serde::Serialize;
use store::Answer;

use super::problem::{Code, Problem};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A document as JSON bytes.
pub(crate) fn to_json(document: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(document).map_err(|error| {
        tracing::error!(%error, "cannot serialize an answer");
        Problem::new(Code::Internal, "Internal error; the service's log has the details.")
    })
}

/// 200 with JSON bytes.
pub(crate) fn json(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, JSON)], body).into_response()
}

/// 200 with a document.
pub(crate) fn document(document: &impl Serialize) -> Result<Response, Problem> {
    to_json(document).map(|body| json(body.into()))
}

/// The answer to a command, with `Idempotency-Replayed: true` if it is the stored answer of an earlier request.
pub(crate) fn receipt(receipt: Receipt) -> Response {
    let (answer, replayed) = match receipt {
        Receipt::Fresh(answer) => (answer, false),
        Receipt::Replayed(answer) => (answer, true),
    };
    let Answer { status, body, location, etag } = answer;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::ACCEPTED);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    for (name, value) in [(header::LOCATION, location), (header::ETAG, etag)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    if replayed {
        headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    response
}

/// A refusal of a request whose body was not read. The unread body ends the connection, so the answer says `Connection: close`.
pub(crate) fn close_unread(request: &Request, mut refusal: Response) -> Response {
    if !request.body().is_end_stream() {
        refusal.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    refusal
}
