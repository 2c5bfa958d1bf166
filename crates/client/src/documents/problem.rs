//! Problems (RFC 9457): why a request was refused or failed.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clean;

/// An error answer (RFC 9457).
// Borrowed by the server, which writes it from its own error. Only `title`, `status` and `code` must be there for a client: a
// gateway between the two may answer with less.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Problem))]
pub struct ProblemDocument<'a> {
    /// The path of a page that explains this kind of problem.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true, example = "/problems/invalid"))]
    pub r#type: Cow<'a, str>,
    /// The kind of problem in a few words.
    pub title: Cow<'a, str>,
    /// The status of the answer.
    pub status: u16,
    /// The kind of problem, for programs.
    pub code: Cow<'a, str>,
    /// What happened to this request, for people.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub detail: Cow<'a, str>,
    /// The path of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Cow<'a, str>>,
    /// The correlation id of the request, which its log lines carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Uuid>,
    /// Whether the same request, unchanged, can succeed later.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub retryable: bool,
    /// All faults of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault<'a>>,
}

/// One fault of a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Item))]
pub struct Fault<'a> {
    /// The place in the body, as a JSON pointer (RFC 6901).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<Cow<'a, str>>,
    /// The query parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<Cow<'a, str>>,
    /// The position of the essay in the request, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The caller's own name for the essay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ref: Option<Cow<'a, str>>,
    /// The kind of fault, for programs.
    pub code: Cow<'a, str>,
    /// The fault in words, for people.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub detail: Cow<'a, str>,
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place =
            (self.client_ref.as_deref(), self.index, self.pointer.as_deref(), self.parameter.as_deref());
        write_fault(f, place, &self.detail, &self.code)
    }
}

/// The essay's name, its position, the pointer and the parameter: where a fault is, as far as that is known.
type Place<'a> = (Option<&'a str>, Option<usize>, Option<&'a str>, Option<&'a str>);

/// Writes a fault as a line for people, without control characters.
pub(super) fn write_fault(
    f: &mut fmt::Formatter<'_>,
    place: Place<'_>,
    detail: &str,
    code: &str,
) -> fmt::Result {
    let place = match place {
        (Some(name), ..) => clean(name),
        (None, Some(index), ..) => format!("essay {}", index + 1),
        (None, None, Some(pointer), _) if !pointer.is_empty() => clean(pointer),
        (None, None, _, Some(parameter)) => clean(parameter),
        (None, None, _, None) => "request".to_owned(),
    };
    write!(f, "{place}: {} ({})", clean(detail), clean(code))
}
