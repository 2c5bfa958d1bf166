//! Errors as answers: RFC 9457 problems. This file and its folder are the only ones that know status codes.

mod causes;
mod code;
mod pages;

use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{Object, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::schemas;

pub use code::Code;
pub use pages::routes;

/// The codes of problems, as a closed set.
fn codes() -> Object {
    schemas::words(Code::ALL.iter().map(|code| code.as_str()))
}

/// What went wrong, for the caller to act on.
///
/// The answer carries the members of RFC 9457 and `code`, `correlation_id`, `retryable`, `errors`. `instance` and
/// `correlation_id` are known to the request's middleware alone, which fills them in (see `complete`).
/// Nothing here may hold essay text or values out of a request's body.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<Item>,
    retry_after: Option<Duration>,
}

/// One of several things that are wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Item {
    /// Where in the body: a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Which query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Position of the essay in the request, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The caller's own name for the essay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ref: Option<String>,
    /// What is wrong, for programs.
    #[schema(schema_with = codes)]
    pub code: Code,
    /// What is wrong, for people.
    pub detail: String,
}

impl Item {
    /// An item that is about no place in particular yet.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { pointer: None, parameter: None, index: None, client_ref: None, code, detail: detail.into() }
    }

    /// About the place in the body that this JSON pointer names.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// About this query parameter.
    #[must_use]
    pub fn of_parameter(mut self, name: impl Into<String>) -> Self {
        self.parameter = Some(name.into());
        self
    }

    /// About the essay at this position of the request.
    #[must_use]
    pub fn of_essay(mut self, index: usize, client_ref: Option<String>) -> Self {
        self.index = Some(index);
        self.client_ref = client_ref;
        self
    }
}

/// The answer, as RFC 9457 has it.
#[derive(Serialize, ToSchema)]
struct Document<'a> {
    /// Leads to a page about this kind of problem.
    #[schema(example = "/problems/invalid")]
    r#type: String,
    /// The kind in a few words.
    title: &'static str,
    status: u16,
    /// The kind, for programs.
    #[schema(schema_with = codes)]
    code: Code,
    /// What happened to this very request, for people.
    detail: &'a str,
    /// The path that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Uuid>,
    /// Whether the same request can succeed later, unchanged.
    retryable: bool,
    /// Everything that is wrong, one by one.
    #[serde(skip_serializing_if = "<[Item]>::is_empty")]
    errors: &'a [Item],
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Document::<'static>::schema()
    }
}

impl ToSchema for Problem {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Document::<'static>::schemas(schemas);
    }
}

impl Problem {
    /// A problem of this kind; `detail` is one sentence for people, about this very request.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), retry_after: code.default_retry_after() }
    }

    /// A problem with a single place, whose kind is that of the whole.
    pub fn of_item(item: Item) -> Self {
        Self::new(item.code, sentence(&item.detail)).with_errors(vec![item])
    }

    /// With everything that is wrong, one by one.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<Item>) -> Self {
        self.errors = errors;
        self
    }

    /// With the time after which a repetition makes sense, sent as `Retry-After` in whole seconds, at least 1.
    #[must_use]
    pub fn with_retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// The kind.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The sentence for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What is wrong, one by one.
    pub fn errors(&self) -> &[Item] {
        &self.errors
    }

    fn body(&self, instance: Option<&str>, correlation_id: Option<Uuid>) -> Vec<u8> {
        let body = Document {
            r#type: format!("/problems/{}", self.code),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            code: self.code,
            detail: &self.detail,
            instance,
            correlation_id,
            retryable: self.code.is_retryable(),
            errors: &self.errors,
        };
        // Strings, numbers and lists of them always serialise; an empty body is still the right status.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

/// A remark as a sentence of its own.
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
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
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

/// Fills in what the problem itself cannot know: the path it is about and the request's correlation id.
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
