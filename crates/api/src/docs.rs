//! `/docs`: Swagger UI for the OpenAPI description. All assets are in the binary; the page loads nothing from other hosts.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Redirect, Response};

use super::path::Word;
use super::problem::{Code, Problem};

/// The content security policy: resources of this server only. Swagger UI also needs inline styles and icons as `data:` URLs.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, media type and content of a file of the page; `assets/swagger-ui/README.md` says where each is from.
macro_rules! asset {
    ($name:literal, $media_type:expr) => {
        ($name, $media_type, include_bytes!(concat!("../assets/swagger-ui/", $name)).as_slice())
    };
}

static ASSETS: [(&str, &str, &[u8]); 6] = [
    asset!("index.html", HTML),
    asset!("index.css", CSS),
    asset!("swagger-ui.css", CSS),
    asset!("swagger-ui-bundle.js", SCRIPT),
    asset!("swagger-initializer.js", SCRIPT),
    asset!("favicon-32x32.png", "image/png"),
];

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
    match ASSETS.iter().find(|(name, ..)| *name == path) {
        Some(&(_, media_type, content)) => {
            let media_type = HeaderValue::from_static(media_type);
            ([(header::CONTENT_TYPE, media_type), (header::CONTENT_SECURITY_POLICY, POLICY)], content)
                .into_response()
        }
        None => Problem::new(Code::NotFound, "The page does not exist; start at /docs/.").into_response(),
    }
}
