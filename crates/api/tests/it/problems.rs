use std::collections::HashSet;

use ::api::Origins;
use ::api::correlation::CorrelationId;
use ::api::problem::{Code, Problem};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::routing::get;
use http_body_util::BodyExt as _;
use telemetry::sampling::Sampling;
use tower::ServiceExt as _;

fn router() -> Router {
    ::api::frame(
        Router::new()
            .route("/v1/thing", get(async || "fine").post(async || "made"))
            .route("/v1/id", get(async |CorrelationId(id): CorrelationId| id.to_string()))
            .route("/v1/clumsy", get(async || -> &'static str { panic!("SECRET") }))
            .route("/v1/busy", get(async || Problem::new(Code::BacklogFull, "Later."))),
        Origins::default(),
        Sampling::default(),
    )
}

async fn ask(request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let (parts, body) = router().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn get_page(path: &str) -> (StatusCode, HeaderMap, String) {
    ask(Request::get(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn every_problem_type_leads_to_a_page() {
    for code in Code::ALL {
        let (status, headers, page) = get_page(&format!("/problems/{code}")).await;
        assert_eq!(status, StatusCode::OK);
        assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/markdown"));
        assert!(page.starts_with(&format!("# {}\n", code.title())), "{code}");
        assert!(page.contains(&format!("`{code}`, HTTP {}", code.status().as_u16())), "{code}");
        for part in ["## What happened", "## Why", "## What to do"] {
            assert!(page.contains(part), "{code} lacks {part}");
        }
    }
}

#[test]
fn every_code_is_unique_and_has_an_error_status() {
    let names: HashSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), Code::ALL.len());
    for code in Code::ALL {
        assert!(code.status().is_client_error() || code.status().is_server_error(), "{code}");
        assert_eq!(code.as_str().parse(), Ok(*code));
    }
}

#[tokio::test]
async fn the_index_lists_every_page_and_a_browser_can_read_it() {
    let (_, _, index) = get_page("/problems").await;
    assert!(Code::ALL.iter().all(|code| index.contains(&format!("(/problems/{code})"))));
    let request =
        Request::get("/problems/invalid").header(header::ACCEPT, "text/html").body(Body::empty()).unwrap();
    let (_, headers, page) = ask(request).await;
    assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    assert!(page.contains("<title>invalid</title>"));
    assert_eq!(get_page("/problems/none").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_unknown_path_is_a_problem_with_instance_and_correlation() {
    let id = "0b9c6c0e-3f6e-4f1c-9a43-1d4a4a1f6a10";
    let request = Request::get("/v1/nothing?x=1").header("x-correlation-id", id).body(Body::empty()).unwrap();
    let (status, headers, body) = ask(request).await;
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(headers["x-correlation-id"], id);
    assert_eq!(problem["type"], "/problems/not_found");
    assert_eq!(problem["status"], 404);
    assert_eq!(problem["code"], "not_found");
    assert_eq!(problem["instance"], "/v1/nothing");
    assert_eq!(problem["correlation_id"], id);
    assert_eq!(problem["retryable"], false);
}

#[tokio::test]
async fn an_unknown_method_is_a_problem_that_lists_the_known_ones() {
    let request = Request::delete("/v1/thing").body(Body::empty()).unwrap();
    let (status, headers, body) = ask(request).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let allow = headers[header::ALLOW].to_str().unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    assert!(body.contains("\"code\":\"method_not_allowed\""), "{body}");
}

#[tokio::test]
async fn a_panic_is_an_internal_problem_without_its_message() {
    let (status, headers, body) = get_page("/v1/clumsy").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(headers.contains_key("x-correlation-id"));
    assert!(body.contains("\"code\":\"internal\"") && !body.contains("SECRET"), "{body}");
}

#[tokio::test]
async fn a_retryable_problem_has_retry_after() {
    let (status, headers, body) = get_page("/v1/busy").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers[header::RETRY_AFTER], "10");
    assert!(body.contains("\"retryable\":true"), "{body}");
}

#[tokio::test]
async fn a_correlation_id_that_is_not_a_uuid_is_replaced() {
    let sent = "0B9C6C0E-3F6E-4F1C-9A43-1D4A4A1F6A10";
    let request = Request::get("/v1/id").header("x-correlation-id", sent).body(Body::empty()).unwrap();
    assert_eq!(ask(request).await.2, sent.to_lowercase());

    let forged =
        Request::get("/v1/id").header("x-correlation-id", "level=ERROR").body(Body::empty()).unwrap();
    let (_, headers, id) = ask(forged).await;
    assert_eq!(headers["x-correlation-id"], id);
    assert_ne!(id, get_page("/v1/id").await.2);
}

#[tokio::test]
async fn every_answer_forbids_caching_and_content_sniffing() {
    let (_, headers, _) = get_page("/v1/thing").await;
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
}
