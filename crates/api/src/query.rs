//! Query strings, read strictly: an unknown parameter is refused, not ignored.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_html_form::Deserializer;
use serde_path_to_error::Segment;
use url::form_urlencoded;

use super::problem::{Code, Item, Problem};
use super::shape;

/// The parameters of a request. `T` must have `#[serde(deny_unknown_fields)]`; a `Vec` field collects a repeated parameter.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads a query string.
///
/// # Errors
/// A problem that names the parameter. It contains no value.
pub fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if value.is_empty() {
            refuse_empty::<T>(&name)?;
        }
    }
    read(query)
}

/// Refuses an empty value of a number or a boolean, which the deserializer takes for an absent one: a filter that was meant and
/// has no value would be ignored. Such a parameter refuses any other text too.
fn refuse_empty<T: DeserializeOwned>(name: &str) -> Result<(), Problem> {
    let with_text = form_urlencoded::Serializer::new(String::new()).append_pair(name, "\0").finish();
    match read::<T>(&with_text) {
        // Another parameter is missing in this probe.
        Err(problem) if problem.errors().iter().all(|item| item.parameter.as_deref() == Some(name)) => {
            Err(problem)
        }
        Err(_) | Ok(_) => Ok(()),
    }
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    serde_path_to_error::deserialize(Deserializer::new(pairs)).map_err(|error| {
        let fault = shape::read(&error.inner().to_string());
        let is_unknown = fault.code == Code::UnknownField;
        let code = if is_unknown { Code::UnknownParameter } else { Code::InvalidParameter };
        // The first segment of the path is the parameter; the rest is the structure of its type.
        let in_path = error.path().iter().find_map(|segment| match segment {
            Segment::Map { key } => shape::printable(key),
            Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
        });
        let parameter = fault.field.or(in_path);
        let item = Item::new(code, fault.detail);
        Problem::of_item(match parameter {
            Some(name) => item.of_parameter(name),
            None => item,
        })
    })
}

/// The parameters of an operation that has none.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}
