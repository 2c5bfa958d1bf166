//! `/docs`: Swagger UI for the OpenAPI description. All assets are in the binary; the page loads nothing from other hosts.

use std::sync::{Arc, LazyLock};

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use utoipa_swagger_ui::{Config, serve};

use super::path::Word;
use super::problem::{Code, Problem};

/// The content security policy: resources of this server only. Swagger UI also needs inline styles and icons as `data:` URLs.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
);

/// The validator is off, because it is a service on the network.
static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").validator_url("none")));

pub(crate) async fn enter() -> Redirect {
    Redirect::permanent("/docs/")
}

pub(crate) async fn index() -> Response {
    file("index.html")
}

pub(crate) async fn asset(Word(path): Word) -> Response {
    file(&path)
}

fn file(path: &str) -> Response {
    match serve(path, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => {
            let kind = HeaderValue::from_str(&file.content_type).ok();
            let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
            let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)];
            (headers, file.bytes.into_owned()).into_response()
        }
        Ok(None) => Problem::new(Code::NotFound, "The page does not exist; start at /docs/.").into_response(),
        Err(_) => {
            Problem::new(Code::Internal, "Internal error; the page could not be rendered.").into_response()
        }
    }
}
