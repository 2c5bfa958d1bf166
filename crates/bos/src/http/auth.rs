//! Who calls. The only file that knows callers: with `auth = "off"` everybody is the one principal `local`.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use store::Owner;

/// The principal that a request is made by; what it may see and change is in every statement's WHERE.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Owner);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Owner { user_id: "local".to_owned(), org_id: None }))
    }
}
