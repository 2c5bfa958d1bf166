//! The pages that explain problems: `/problems/{code}`, the `type` of a problem, and the index `/problems`.

use std::fmt::Write as _;

use axum::Router;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::path::Word;
use crate::problem::{Code, Problem};

/// The routes of the pages.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/problems", get(index)).route("/problems/{code}", get(page))
}

async fn index(headers: HeaderMap) -> Response {
    let mut text = "# Problems\n\nEvery problem code of this API, with its page.\n\n".to_owned();
    for code in Code::ALL {
        let _ = writeln!(text, "- [{code}](/problems/{code}) ({}): {}", code.status().as_u16(), code.title());
    }
    render(&headers, "Problems", &text)
}

async fn page(Word(name): Word, headers: HeaderMap) -> Response {
    match name.parse::<Code>() {
        Ok(code) => render(&headers, code.as_str(), code.page()),
        Err(()) => Problem::new(Code::NotFound, "No problem has this code; /problems lists all codes.")
            .into_response(),
    }
}

/// Markdown as it is, or inside an HTML page for browsers, which download Markdown instead of showing it.
fn render(headers: &HeaderMap, title: &str, markdown: &str) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        let text = markdown.replace('&', "&amp;").replace('<', "&lt;");
        let page = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n<pre>{text}</pre></html>\n"
        );
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
    } else {
        ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], markdown.to_owned()).into_response()
    }
}
