//! The header `Idempotency-Key`: a request that is repeated with the same key is done once.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use engine::Engine;
use store::Owner;

use super::problem::{Code, Problem};

/// The name of the header.
const HEADER: &str = "idempotency-key";

/// The format of the contents that keys are bound to: [`Content`](crate::submission::Content).
const CONTENT: &str = "content";

/// Most characters in a key.
const LONGEST: usize = 255;

/// The key of a request, if it has one. A quoted and an unquoted key are the same key.
#[derive(Clone)]
pub(crate) struct IdempotencyKey(Option<String>);

impl std::fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "IdempotencyKey" } else { "no IdempotencyKey" })
    }
}

impl IdempotencyKey {
    /// Binds the key to its caller, the route and the content of the request; `None` without a key. `former` is what the former
    /// version bound it to: the media type and the bytes of the body.
    pub(crate) fn bind(
        &self,
        engine: &Engine,
        owner: &Owner,
        route: &str,
        content: &[u8],
        former: (&str, &[u8]),
    ) -> Option<engine::IdempotencyKey> {
        let key = self.0.as_ref()?;
        let (media_type, body) = former;
        Some(
            engine.idempotency_key(owner, route, key, CONTENT, content).with_former(engine, media_type, body),
        )
    }

    fn read(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err("the header occurs more than once");
        }
        let text = value.to_str().map_err(|_| "it contains characters other than visible ASCII")?.trim();
        let key = match text.strip_prefix('"') {
            None => text,
            Some(rest) => rest.strip_suffix('"').ok_or("its quotation mark is not closed")?,
        };
        match key.len() {
            0 => Err("it is empty"),
            1..=LONGEST => Ok(Some(key.to_owned())),
            _ => Err("it is longer than 255 characters"),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::read(&parts.headers).map(Self).map_err(|why| {
            let detail = format!("The Idempotency-Key cannot be used: {why}; nothing was stored.");
            Problem::new(Code::IdempotencyKeyMalformed, detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_quoted_or_not_and_every_other_form_is_refused() {
        let read = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, axum::http::HeaderValue::from_bytes(value).unwrap());
            IdempotencyKey::read(&headers)
        };
        assert_eq!(read(b"\"7b0c\""), Ok(Some("7b0c".to_owned())));
        assert_eq!(read(b"7b0c"), Ok(Some("7b0c".to_owned())));
        assert_eq!(read("k".repeat(255).as_bytes()).map(|key| key.map(|key| key.len())), Ok(Some(255)));
        for bad in [&b""[..], b"\"\"", b"\"7b0c", "k".repeat(256).as_bytes(), b"\xff"] {
            assert!(read(bad).is_err());
        }
    }
}
