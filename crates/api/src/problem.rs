//! Error answers: RFC 9457 problems. Only this file and its folder map errors to status codes.

mod causes;
mod code;

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use client::documents::{Fault, ProblemDocument};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

pub use code::Code;

/// An error that the caller can act on.
///
/// The answer has the members of RFC 9457 and `code`, `correlation_id`, `retryable`, `errors`. The outermost layer fills in
/// `instance` and `correlation_id` (see `complete`), because only it knows them. A problem must not contain essay text or values
/// of a request's body.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<Item>,
    retry_after: Option<Duration>,
}

/// One fault of a request. Its code is one of the closed set, which a document has as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The place in the body, as a JSON pointer (RFC 6901).
    pub pointer: Option<String>,
    /// The query parameter.
    pub parameter: Option<String>,
    /// The position of the essay in the request, counted from 0.
    pub index: Option<usize>,
    /// The caller's own name for the essay.
    pub client_ref: Option<String>,
    /// The kind of fault, for programs.
    pub code: Code,
    /// The fault in words, for people.
    pub detail: String,
}

impl Item {
    /// An item without a place.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { pointer: None, parameter: None, index: None, client_ref: None, code, detail: detail.into() }
    }

    /// Sets the place in the body, as a JSON pointer.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// Sets the query parameter.
    #[must_use]
    pub fn of_parameter(mut self, name: impl Into<String>) -> Self {
        self.parameter = Some(name.into());
        self
    }

    /// Sets the essay, by its position in the request, counted from 0, and the caller's name for it.
    #[must_use]
    pub fn of_essay(mut self, index: usize, client_ref: Option<String>) -> Self {
        self.index = Some(index);
        self.client_ref = client_ref;
        self
    }

    fn fault(&self) -> Fault<'_> {
        let Self { pointer, parameter, index, client_ref, code, detail } = self;
        Fault {
            pointer: pointer.as_deref().map(Cow::Borrowed),
            parameter: parameter.as_deref().map(Cow::Borrowed),
            index: *index,
            client_ref: client_ref.as_deref().map(Cow::Borrowed),
            code: code.as_str().into(),
            detail: detail.as_str().into(),
        }
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        ProblemDocument::<'static>::schema()
    }
}

impl ToSchema for Problem {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ProblemDocument::<'static>::schemas(schemas);
    }
}

impl Problem {
    /// A problem of this kind. `detail` is a sentence for people, about this request.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), retry_after: code.default_retry_after() }
    }

    /// A problem with one item, whose code and detail it takes.
    pub fn of_item(item: Item) -> Self {
        Self::new(item.code, sentence(&item.detail)).with_errors(vec![item])
    }

    /// Sets the list of faults.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<Item>) -> Self {
        self.errors = errors;
        self
    }

    /// Sets `Retry-After`, rounded up to whole seconds, at least 1.
    #[must_use]
    pub fn with_retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// The kind of problem.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The detail, for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The faults of the request.
    pub fn errors(&self) -> &[Item] {
        &self.errors
    }

    fn body(&self, instance: Option<&str>, correlation_id: Option<Uuid>) -> Vec<u8> {
        let body = ProblemDocument {
            r#type: format!("/problems/{}", self.code).into(),
            title: self.code.title().into(),
            status: self.code.status().as_u16(),
            code: self.code.as_str().into(),
            detail: self.detail.as_str().into(),
            instance: instance.map(Cow::Borrowed),
            correlation_id,
            retryable: self.code.is_retryable(),
            errors: self.errors.iter().map(Item::fault).collect(),
        };
        // Strings, numbers and lists always serialize; if not, the status is still right.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl Problem {
    /// The whole answer as bytes, for a connection that is closed before a request was read from it.
    pub(crate) fn on_the_wire(&self) -> Vec<u8> {
        let body = self.body(None, None);
        let status = self.code.status();
        let retry_after = self.retry_after.map(|pause| format!("Retry-After: {}\r\n", whole_seconds(pause)));
        let mut answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n{}\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            body.len(),
            retry_after.unwrap_or_default(),
        )
        .into_bytes();
        answer.extend_from_slice(&body);
        answer
    }
}

/// Rounded up, at least 1.
fn whole_seconds(pause: Duration) -> u64 {
    (pause.as_secs() + u64::from(pause.subsec_nanos() > 0)).max(1)
}

/// Makes a remark a sentence: first letter in upper case, full stop at the end.
pub(crate) fn sentence(remark: &str) -> String {
    let mut sentence = remark.to_owned();
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if !sentence.ends_with(['.', '?']) {
        sentence.push('.');
    }
    sentence
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.code.status(), self.body(None, None)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(pause) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(pause)));
        }
        if let Some(challenge) = self.code.challenge() {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if self.code == Code::UnsupportedEncoding {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Fills in what only the outermost layer knows: the path of the request and its correlation id.
pub(crate) fn complete(response: Response, instance: &str, correlation_id: Uuid) -> Response {
    let Some(body) = response
        .extensions()
        .get::<Problem>()
        .map(|problem| problem.body(Some(instance), Some(correlation_id)))
    else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body.into())
}
