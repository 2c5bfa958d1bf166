//! The OpenAPI description, the documentation page, health and limits.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Api, settings};

/// The golden file: the description with the default limits.
const GOLDEN: &str = include_str!("../../../openapi.json");

#[test]
fn the_description_equals_the_golden_file() {
    let described = ::api::openapi::json(&settings());
    if described != GOLDEN {
        let (_, path) =
            tempfile::Builder::new().prefix("openapi-").suffix(".json").tempfile().unwrap().keep().unwrap();
        std::fs::write(&path, described).unwrap();
        panic!(
            "the API has changed: look at the difference, then copy {} to crates/api/openapi.json",
            path.display()
        );
    }
}

#[tokio::test]
async fn the_description_has_the_limits_of_the_server() {
    let api = Api::with(|settings| {
        settings.max_labels = 3;
        settings.status_wait_limit = std::time::Duration::from_secs(7);
    })
    .await;
    let description = api.get("/openapi.json").await.body;
    assert!(description.contains("At most 3 labels,"), "{description}");
    assert!(description.contains("The longest wait is 7s."), "{description}");
}

#[tokio::test]
async fn every_described_path_is_served_and_every_reference_resolves() {
    let api = Api::open().await;
    let description = api.get("/openapi.json").await.json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, methods) in description["paths"].as_object().unwrap() {
        let path = path
            .replace("{storage_id}", &"0".repeat(32))
            .replace("{batch_id}", "x")
            .replace("{essay_id}", "x");
        for method in methods.as_object().unwrap().keys() {
            let request = axum::http::Request::builder()
                .method(method.to_uppercase().as_str())
                .uri(&path)
                .body(axum::body::Body::empty())
                .unwrap();
            let status = api.send(request).await.status;
            assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            let is_gone = ["/v1/content/", "/v1/tokens/", "/v1/outbox/", "/v1/dead-letters/"]
                .iter()
                .any(|place| path.contains(place));
            assert!(status != StatusCode::NOT_FOUND || is_gone, "{method} {path}");
        }
    }
    let mut references = BTreeSet::new();
    collect(&description, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        assert!(description.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if let (true, Some(reference)) = (name == "$ref", value.as_str()) {
                    references.insert(reference.to_owned());
                }
                collect(value, references);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn every_described_field_of_a_batch_is_accepted() {
    let api = Api::open().await;
    let description = api.get("/openapi.json").await.json();
    let fields = |name: &str| -> Vec<String> {
        description["components"]["schemas"][name]["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    let mut body: Value = fields("BatchRequest").into_iter().map(|field| (field, json!(null))).collect();
    let essay: Value = fields("EssayRequest").into_iter().map(|field| (field, json!(null))).collect();
    body["essays"] = json!([essay]);
    body["unknown"] = json!(1);
    let problem = api.post_json("/v1/batch", &body).await.problem(422, "invalid");
    let unknown = &problem["errors"][0]["detail"].as_str().unwrap();
    let known: BTreeSet<&str> = unknown.split_once("known here: ").unwrap().1.split(", ").collect();
    assert_eq!(known, fields("BatchRequest").iter().map(String::as_str).collect());
    assert_eq!(
        problem["errors"].as_array().unwrap().len(),
        2,
        "only the unknown field and the missing text: {problem}"
    );
}

#[tokio::test]
async fn the_documentation_loads_nothing_from_the_network() {
    let api = Api::open().await;
    let page = api.get("/docs/").await;
    assert_eq!(page.status, StatusCode::OK);
    let initializer = api.get("/docs/swagger-initializer.js").await;
    assert!(initializer.body.contains("/openapi.json"));
    for text in [&page.body, &initializer.body] {
        assert!(!text.contains("https://") && !text.contains("http://") && !text.contains("\"//"), "{text}");
    }
    for asset in page.body.split(['"', '\'']).filter(|word| is_asset(word)) {
        let asset = asset.trim_start_matches("./");
        assert_eq!(api.get(&format!("/docs/{asset}")).await.status, StatusCode::OK, "{asset}");
    }
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(api.get("/docs").await.header("location"), "/docs/");
}

fn is_asset(word: &str) -> bool {
    let ending = std::path::Path::new(word).extension();
    ending.is_some_and(|ending| ending == "js" || ending == "css")
}

#[tokio::test]
async fn health_readiness_and_limits_answer() {
    let api = Api::open().await;
    for path in ["/healthz", "/v1/healthz"] {
        let answer = api.get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, r#"{"status":"ok"}"#));
        assert_eq!(answer.header("content-type"), "application/json");
    }
    let ready = api.get("/readyz").await;
    assert_eq!(
        (ready.status, &ready.json()["status"], &ready.json()["store"]),
        (StatusCode::OK, &json!("ready"), &json!("ok"))
    );
    let limits = api.get("/v1/limits").await.json();
    assert_eq!((&limits["essays_per_batch"], &limits["text_bytes"]), (&json!(2000), &json!(200_000)));
    assert_eq!(limits["phases"], json!(["spellcheck", "nlp"]));
    assert_eq!(api.get("/metrics").await.status, StatusCode::OK);
}
