//! The contract of the platform's Content Service.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use super::Api;
use ::api::{BodyLimits, Host, Origins, content_router};
use bytesize::ByteSize;
use companions::{CompanionSettings, Companions};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tower::ServiceExt as _;

#[tokio::test]
async fn a_text_is_stored_fetched_and_erased_by_the_contract_of_the_platform() {
    let api = Api::open().await;
    let answer = api.post("/v1/content", "application/octet-stream", "A text.\r\n").await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let id = answer.json()["storage_id"].as_str().unwrap().to_owned();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let again = api.post("/v1/content", "application/octet-stream", "A text.\r\n").await;
    assert_ne!(again.json()["storage_id"], id, "each call makes a new id");

    let path = format!("/v1/content/{id}");
    let fetched = api.get(&path).await;
    assert_eq!((fetched.status, fetched.body.as_str()), (StatusCode::OK, "A text.\r\n"));
    let erase = || Request::delete(&path).body(Body::empty()).unwrap();
    assert_eq!(api.send(erase()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.send(erase()).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn refusals_have_the_error_format_of_the_contract() {
    let api = Api::open().await;
    let empty = api.post("/v1/content", "application/octet-stream", "").await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    assert!(empty.json()["error"].is_string());
    for bad in ["17", "zz23456789abcdef0123456789abcdef", "0197aa00-0000-7000-8000-000000000000"] {
        assert_eq!(api.get(&format!("/v1/content/{bad}")).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let unknown = api.get(&format!("/v1/content/{}", "0".repeat(32))).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_content_service_alone_refuses_foreign_hosts_and_pages() {
    let folder = tempfile::tempdir().unwrap();
    let companions =
        Companions::open(&folder.path().join("companions.db"), CompanionSettings::default()).unwrap();
    let limits = BodyLimits {
        max_size: ByteSize::mib(1),
        max_in_flight: ByteSize::mib(1),
        chunk_timeout: Duration::from_secs(10),
        min_rate: ByteSize::kib(4),
        total_timeout: Duration::from_mins(10),
    };
    let allowed = [Host::parse("content").unwrap()];
    let origins = Origins::new(IpAddr::V4(Ipv4Addr::LOCALHOST), true, &allowed);
    let router = content_router(companions.content(), limits, origins);
    for (name, value, status) in [
        ("host", "rebound.example", StatusCode::FORBIDDEN),
        ("origin", "https://evil.example", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "cross-site", StatusCode::FORBIDDEN),
        ("host", "content:8001", StatusCode::CREATED),
        ("accept", "*/*", StatusCode::CREATED),
    ] {
        let request = Request::post("/v1/content").header(name, value).body(Body::from("A text.")).unwrap();
        assert_eq!(router.clone().oneshot(request).await.unwrap().status(), status, "{name}: {value}");
    }
}
