//! The routes of the operators' operations. For administrators.

pub(crate) mod dead_letters;
pub(crate) mod outbox;

use std::convert::Infallible;
use std::str::FromStr;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use bytesize::ByteSize;
use serde::Deserialize;

use crate::app::App;
use crate::paging;
use crate::problem::Problem;
use crate::submission::one_object;

/// The most bytes of a body here, where none is needed.
const MAX_BODY: ByteSize = ByteSize::kib(64);

/// Parameters of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Most rows in a page, from 1 to 500; default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

impl ListParameters {
    /// The cursor and the number of rows.
    fn check<C: FromStr>(self) -> Result<(Option<C>, u32), Problem> {
        let limit = paging::limit(self.limit)?;
        let after = self.cursor.map(|cursor| cursor.parse()).transpose();
        Ok((after.map_err(|_| paging::bad_cursor())?, limit))
    }
}

/// The position that a path's segments name together; `None` when they do not name one.
pub(crate) struct PositionInPath<T>(Option<T>);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for PositionInPath<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let Ok(segments) = RawPathParams::from_request_parts(parts, state).await else {
            return Ok(Self(None));
        };
        let segments: Vec<&str> = segments.iter().map(|(_, segment)| segment).collect();
        Ok(Self(segments.join("/").parse().ok()))
    }
}

/// A body without content: empty, or an empty JSON object.
pub(crate) struct EmptyBody;

impl FromRequest<App> for EmptyBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body): (Parts, Body) = request.into_parts();
        let (bytes, _held) = app.bodies().open(&parts.headers, body, MAX_BODY)?.all().await?;
        if !bytes.is_empty() {
            one_object(&bytes, &[], |_, _, _| ())?;
        }
        Ok(Self)
    }
}
