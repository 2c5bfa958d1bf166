//! Extractors for ids and other path parameters.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use domain::IdError;
use std::convert::Infallible;
use std::str::FromStr;

use super::problem::{Code, Problem};

/// The id in a path. Text that is not a UUID is 400; a UUID that this service never creates is 404.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InPath<T>(pub(super) T);

impl<S, T> FromRequestParts<S> for InPath<T>
where
    S: Send + Sync,
    T: FromStr<Err = IdError> + Send,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Word(text) = Word::from_parts(parts, state).await;
        let id = text.parse().map_err(|error| match error {
            IdError::Malformed => {
                Problem::new(Code::MalformedId, "The id in the path is not a UUID with hyphens.")
            }
            IdError::Foreign => {
                Problem::new(Code::NotFound, "Nothing has this id; it is not an id of this service.")
            }
        })?;
        Ok(Self(id))
    }
}

/// The first parameter of a path, for handlers that check it themselves. Empty if its bytes are not UTF-8; the empty text never
/// names anything.
#[derive(Debug, Clone)]
pub(crate) struct Word(pub(super) String);

impl Word {
    async fn from_parts<S: Send + Sync>(parts: &mut Parts, state: &S) -> Self {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let text = params.as_ref().ok().and_then(|params| params.iter().next()).map(|(_, value)| value);
        Self(text.unwrap_or_default().to_owned())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Word {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self::from_parts(parts, state).await)
    }
}
