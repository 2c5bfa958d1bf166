//! JSON bodies, read strictly.
//!
//! A leading byte order mark is skipped (RFC 8259 §8.1 allows it, and Windows writes one). Everything else that is not
//! exactly the expected document is refused: other media types, bytes that are not UTF-8, lone surrogates, duplicate keys,
//! nesting deeper than 128 levels (the limit of `serde_json`), unknown fields.

use std::collections::HashSet;
use std::fmt;

use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::body::{Bodies, InFlightPermit};
use super::problem::{Code, Item, Problem};
use super::shape;

/// A request's JSON body, with the [`InFlightPermit`] that counts its bytes as in flight; keep it for as long as the body is in
/// use.
#[derive(Debug)]
pub struct Json<T>(pub T, pub InFlightPermit);

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    Bodies: FromRef<S>,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bodies = Bodies::from_ref(state);
        let (parts, body) = request.into_parts();
        expect_json(&parts.headers)?;
        let (bytes, permit) = bodies.open(&parts.headers, body, bodies.max_size())?.all().await?;
        Ok(Self(parse(&bytes)?, permit))
    }
}

/// The media type of a request's body, in lower case and without parameters. The only accepted `charset` is UTF-8.
///
/// # Errors
/// 415 without a readable `Content-Type`, or with another charset.
pub fn media_type(headers: &HeaderMap) -> Result<String, Problem> {
    let refused = |detail: &str| Problem::new(Code::UnsupportedMediaType, detail);
    let value =
        headers.get(header::CONTENT_TYPE).ok_or_else(|| refused("The request has no Content-Type."))?;
    let value = value.to_str().ok().and_then(|text| text.parse::<mime::Mime>().ok());
    let value = value.ok_or_else(|| refused("The Content-Type is not a media type."))?;
    if value.get_param(mime::CHARSET).is_some_and(|charset| charset != mime::UTF_8) {
        return Err(refused("The charset is not UTF-8."));
    }
    Ok(value.essence_str().to_owned())
}

fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    let found = media_type(headers)?;
    if found == "application/json" || (found.starts_with("application/") && found.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, "The body must be application/json."))
}

/// Reads one JSON document.
///
/// # Errors
/// A problem with the JSON pointer of the first fault. It contains no value of the document.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let detail = format!("The body is not UTF-8 at byte {}.", error.valid_up_to());
        Problem::new(Code::InvalidUtf8, detail)
    })?;
    // serde keeps the last of two equal keys in a map and skips the fields that a type does not have, so the document is
    // checked for duplicate keys first.
    read::<Document>(text)?;
    read(text)
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (path, error) = (error.path().clone(), error.into_inner());
        if error.is_data() {
            Problem::of_item(shape::item(&path, &error.to_string()))
        } else {
            malformed(&error)
        }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// The problem of a syntax error. Messages of `serde_json` are fixed texts with a position and contain no input.
fn malformed(error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    if message.starts_with("lone leading surrogate") || message.starts_with("unexpected end of hex escape") {
        let detail =
            format!("Lone half of a surrogate pair at line {}, column {}.", error.line(), error.column());
        return Problem::of_item(Item::new(Code::InvalidUtf8, detail));
    }
    Problem::new(Code::MalformedJson, format!("The body is not JSON: {message}."))
}

/// Any JSON document without duplicate keys.
struct Document;

impl<'de> serde::Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Document {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
            }
            keys.insert(key);
            entries.next_value::<Self>()?;
        }
        Ok(self)
    }
}
