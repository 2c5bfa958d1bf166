//! Invalid input is refused with the documented status and code, a pointer and all errors at once, without essay text in the
//! answer, and nothing is stored.

use axum::body::Body;
use serde_json::{Value, json};

use super::{Api, batch};

/// Part of every invalid text. It must appear in no answer.
const SECRET: &str = "CANARY";

fn essay(text: &str) -> Value {
    json!({"essays": [{"client_ref": "s-000", "text": text}]})
}

async fn refused(api: &Api, media_type: &str, body: impl Into<Body>, status: u16, code: &str) -> Value {
    let answer = api.post("/v1/batch", media_type, body).await;
    assert!(!answer.body.contains(SECRET), "{}", answer.body);
    answer.problem(status, code)
}

async fn refused_json(api: &Api, body: &Value, status: u16, code: &str) -> Value {
    refused(api, "application/json", body.to_string(), status, code).await
}

#[tokio::test]
async fn every_invalid_text_has_its_code_and_pointer() {
    let api = Api::open().await;
    let long = format!("{SECRET}{}", "a".repeat(200_001 - SECRET.len()));
    let cases = [
        ("", "empty_text"),
        (" \n\t\u{3000}", "blank_text"),
        ("\u{feff}", "blank_text"),
        (&*format!("{SECRET}\0"), "nul_character"),
        (&*long, "text_too_large"),
    ];
    for (text, code) in cases {
        let problem = refused_json(&api, &essay(text), 422, "invalid").await;
        let error = &problem["errors"][0];
        assert_eq!(
            (&error["code"], &error["pointer"]),
            (&json!(code), &json!("/essays/0/text")),
            "{problem}"
        );
        assert_eq!((&error["index"], &error["client_ref"]), (&json!(0), &json!("s-000")));
    }
    assert_eq!(api.stored().await, 0);
}

#[tokio::test]
async fn every_valid_text_is_accepted() {
    let api = Api::open().await;
    let longest = "å".repeat(100_000);
    for text in ["a\rb", "a\r\nb\n", "\u{feff}text", "😀", &longest] {
        let answer = api.post_json("/v1/batch", &essay(text)).await;
        assert_eq!(answer.status.as_u16(), 202, "{}", answer.body);
    }
    assert_eq!(api.stored().await, 5);
}

#[tokio::test]
async fn half_a_surrogate_pair_and_bytes_that_are_not_utf8_have_a_pointer() {
    let api = Api::open().await;
    let bodies: [&[u8]; 3] = [
        br#"{"essays": [{"text": "fine"}, {"text": "CANARY \ud800"}]}"#,
        br#"{"essays": [{"text": "fine"}, {"text": "CANARY \udc00\ud83d"}]}"#,
        b"{\"essays\": [{\"text\": \"fine\"}, {\"text\": \"CANARY \xff\xfe\"}]}",
    ];
    for body in bodies {
        let problem = refused(&api, "application/json", body, 422, "invalid").await;
        assert_eq!(problem["errors"].as_array().unwrap().len(), 1, "{problem}");
        assert_eq!(problem["errors"][0]["code"], "invalid_utf8");
        assert_eq!(problem["errors"][0]["pointer"], "/essays/1/text");
    }
    assert_eq!(api.stored().await, 0);
}

#[tokio::test]
async fn all_errors_of_a_batch_are_reported_at_once() {
    let api = Api::open().await;
    let body = json!({
        "name": 7,
        "cuorse_code": "ENG5",
        "language": "de",
        "phases": ["spellchek", "nlp", "nlp"],
        "close": false,
        "prompt": SECRET,
        "essays": [
            {"client_ref": "a", "text": ""},
            {"client_ref": "b", "text": "fine"},
            {"client_ref": "c", "txt": SECRET},
            {"client_ref": "d", "text": SECRET, "text_storage_id": "0".repeat(32)},
            {"client_ref": "e", "text": [SECRET]},
            SECRET,
            {"client_ref": "g", "text_storage_id": "../etc"},
        ],
    });
    let problem = refused_json(&api, &body, 422, "invalid").await;
    let errors: Vec<(String, String)> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            (error["pointer"].as_str().unwrap().to_owned(), error["code"].as_str().unwrap().to_owned())
        })
        .collect();
    let told = |pointer: &str, code: &str| errors.contains(&(pointer.to_owned(), code.to_owned()));
    assert!(told("/name", "wrong_type"), "{problem}");
    assert!(told("/cuorse_code", "unknown_field"));
    assert!(told("/language", "unknown_language"));
    assert!(told("/phases/0", "unknown_phase"));
    assert!(told("/phases/2", "duplicate_phase"));
    assert!(told("/close", "not_available"));
    assert!(told("/prompt", "not_available"));
    assert!(told("/essays/0/text", "empty_text"));
    assert!(told("/essays/2/txt", "unknown_field"));
    assert!(told("/essays/3", "conflicting_fields"));
    assert!(told("/essays/4/text", "wrong_type"));
    assert!(told("/essays/5", "wrong_type"));
    assert!(told("/essays/6/text_storage_id", "malformed_id"));
    assert_eq!(errors.len(), 13, "{problem}");
    assert!(problem.to_string().contains("did you mean `course_code`?"));
    assert_eq!(problem["detail"], "6 of 7 essays were refused; nothing was stored.");
    assert_eq!(api.stored().await, 0);
}

#[tokio::test]
async fn a_batch_with_one_kind_of_fault_has_its_code() {
    let api = Api::open().await;
    let with = |name: &str, value: Value| {
        let mut body = batch(1);
        body[name] = value;
        body
    };
    let cases = [
        (with("course_code", json!("ENG8")), 422, "unknown_course_code", "/course_code"),
        (with("course_code", json!("eng5")), 422, "unknown_course_code", "/course_code"),
        (with("language", json!("sv")), 422, "course_language_conflict", "/language"),
        (with("language", json!("SE")), 422, "unknown_language", "/language"),
        (with("phases", json!(["spelling"])), 422, "unknown_phase", "/phases/0"),
        (with("phases", json!(["cj_assessment"])), 409, "phase_not_served", "/phases/0"),
        (with("phases", json!("nlp")), 422, "wrong_type", "/phases"),
        (with("labels", json!({"a": 1})), 422, "wrong_type", "/labels"),
        (with("labels", json!({"": "x"})), 422, "missing_field", "/labels"),
        (with("labels", json!({"k": "v".repeat(257)})), 422, "too_long", "/labels"),
        (with("name", json!("n".repeat(201))), 422, "too_long", "/name"),
        (with("name", json!("a\nb")), 422, "control_character", "/name"),
        (with("name", json!("a\0b")), 422, "nul_character", "/name"),
        (with("on_invalid", json!("ignore")), 422, "unknown_word", "/on_invalid"),
        (with("close", json!(false)), 422, "not_available", "/close"),
        (with("close", json!("yes")), 422, "wrong_type", "/close"),
        (with("prompt", json!("Write")), 422, "not_available", "/prompt"),
        (with("owner", json!("me")), 422, "unknown_field", "/owner"),
        (with("essays", json!([])), 422, "no_essays", "/essays"),
        (with("essays", json!({})), 422, "wrong_type", "/essays"),
        (with("essays", json!(null)), 422, "wrong_type", "/essays"),
    ];
    for (body, status, code, pointer) in cases {
        let problem = refused_json(&api, &body, status, code).await;
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    assert_eq!(api.stored().await, 0);
}

#[tokio::test]
async fn two_thousand_essays_are_accepted_and_one_more_is_refused() {
    let api = Api::open().await;
    let problem = refused_json(&api, &batch(2_001), 422, "too_many_essays").await;
    assert_eq!(problem["errors"][0]["pointer"], "/essays");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("2001"));
    refused_json(&api, &batch(10_000), 422, "too_many_essays").await;
    assert_eq!(api.stored().await, 0);
    let answer = api.post_json("/v1/batch", &batch(2_000)).await;
    assert_eq!(answer.status.as_u16(), 202, "{}", answer.body);
    assert_eq!(answer.json()["essays"].as_array().unwrap().len(), 2_000);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_with_the_position_and_no_content() {
    let api = Api::open().await;
    let deep = format!("{{\"essays\": {}", "[".repeat(100_000));
    let deep_name = format!("{{\"name\": {}", "[".repeat(100_000));
    for body in [
        "",
        "CANARY",
        "{\"CANARY",
        "{\"essays\": [CANARY]}",
        "{} CANARY",
        &deep,
        &deep_name,
        &"[".repeat(100_000),
    ] {
        let problem = refused(&api, "application/json", body.to_owned(), 400, "malformed_json").await;
        assert!(problem["detail"].as_str().unwrap().contains("line 1, column"), "{problem}");
    }
    for body in ["[]", "null", "\"CANARY\"", "12"] {
        let problem = refused(&api, "application/json", body, 422, "wrong_type").await;
        assert_eq!(problem["errors"][0]["pointer"], "");
    }
    let closed = format!(
        "{{\"name\": {}{}, \"essays\": [{{\"text\": \"a\"}}]}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    refused(&api, "application/json", closed, 422, "wrong_type").await;
    assert_eq!(api.stored().await, 0);
}

#[tokio::test]
async fn a_duplicate_key_is_refused_at_every_level() {
    let api = Api::open().await;
    let cases = [
        (r#"{"name": "a", "name": "b", "essays": [{"text": "a"}]}"#, 400, "duplicate_key", "/name"),
        (r#"{"essays": [{"text": "a"}], "essays": []}"#, 400, "duplicate_key", "/essays"),
        (r#"{"labels": {"a": "1", "a": "2"}, "essays": [{"text": "a"}]}"#, 400, "duplicate_key", "/labels"),
        (r#"{"essays": [{"text": "a", "text": "b"}]}"#, 422, "invalid", "/essays/0/text"),
    ];
    for (body, status, code, pointer) in cases {
        let problem = refused(&api, "application/json", body, status, code).await;
        assert_eq!(problem["errors"][0]["code"], "duplicate_key");
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
    assert_eq!(api.stored().await, 0);
}

#[tokio::test]
async fn an_unsupported_media_type_encoding_or_size_is_refused_before_the_body_is_parsed() {
    let api = Api::with(|settings| settings.bodies.max_size = bytesize::ByteSize::kib(100)).await;
    refused(&api, "text/csv", "a,b", 415, "unsupported_media_type").await;
    refused(&api, "application/json; charset=latin1", "{}", 415, "unsupported_media_type").await;
    refused(&api, "application/zip", "PK", 422, "not_available").await;
    refused(&api, "application/json", " ".repeat(102_401), 413, "body_too_large").await;
    let request = axum::http::Request::post("/v1/batch")
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body(Body::from("{}"))
        .unwrap();
    api.send(request).await.problem(415, "unsupported_encoding");
    assert_eq!(api.stored().await, 0);
}

#[tokio::test]
async fn thirty_two_mebibytes_are_accepted_and_one_byte_more_is_refused() {
    let api = Api::open().await;
    let essay = batch(1).to_string();
    let padded = |size: usize| format!("{essay}{}", " ".repeat(size - essay.len()));
    refused(&api, "application/json", padded((32 << 20) + 1), 413, "body_too_large").await;
    let answer = api.post("/v1/batch", "application/json", padded(32 << 20)).await;
    assert_eq!(answer.status.as_u16(), 202, "{}", answer.body);
    assert_eq!(api.stored().await, 1);
}

#[tokio::test]
async fn essay_text_in_the_place_of_a_field_name_is_not_repeated() {
    let api = Api::open().await;
    let body = json!({"essays": [{format!("{SECRET} and more"): 1, "text": "a"}]});
    let problem = refused_json(&api, &body, 422, "invalid").await;
    assert_eq!(problem["errors"][0]["pointer"], "/essays/0");
}

#[tokio::test]
async fn unknown_parameters_malformed_ids_and_wrong_methods_are_refused() {
    let api = Api::open().await;
    let id = api.batch_of(1).await;
    let problem = api.get("/v1/batch?stauts=ready").await.problem(400, "unknown_parameter");
    assert_eq!(problem["errors"][0]["parameter"], "stauts");
    assert!(problem.to_string().contains("did you mean `status`?"), "{problem}");
    api.get(&format!("/v1/batch/{id}/status?wiat=1s")).await.problem(400, "unknown_parameter");
    api.get(&format!("/v1/batch/{id}?x=1")).await.problem(400, "unknown_parameter");
    for parameter in [
        "status=CANARY",
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=",
        "attention=",
        "status=",
        "created_after=",
        "cursor=CANARY",
        "label=x",
        "sort=name",
    ] {
        let answer = api.get(&format!("/v1/batch?{parameter}")).await;
        assert!(!answer.body.contains(SECRET), "{}", answer.body);
        let problem = answer.problem(400, "invalid_parameter");
        let name = parameter.split('=').next().unwrap();
        assert_eq!(problem["errors"][0]["parameter"], name, "{problem}");
    }
    for wait in ["", "soon", "-1s", "-1"] {
        api.get(&format!("/v1/batch/{id}/status?wait={wait}")).await.problem(400, "invalid_parameter");
    }
    for bad in ["17", "0197", "%00", "../etc", "0197aa00-0000-7000-8000-00000000000g"] {
        let status = api.get(&format!("/v1/batch/{}/status", bad.replace('/', "%2F"))).await;
        status.problem(400, "malformed_id");
    }
    for foreign in ["00000000-0000-0000-0000-000000000000", "0b9c6c0e-3f6e-4f1c-9a43-1d4a4a1f6a10"] {
        api.get(&format!("/v1/batch/{foreign}/status")).await.problem(404, "not_found");
        api.get(&format!("/v1/essay/{foreign}")).await.problem(404, "not_found");
    }
    let unknown_id = "0197aa00-0000-7000-8000-000000000000";
    for path in ["", "/status", "/essays", "/results"] {
        api.get(&format!("/v1/batch/{unknown_id}{path}")).await.problem(404, "unknown_batch");
    }
    let answer = api.post_json(&format!("/v1/batch/{unknown_id}/initiate-nlp"), &json!({})).await;
    answer.problem(404, "unknown_batch");
    let answer = api.post_json(&format!("/v1/batch/{id}/status"), &json!({})).await;
    answer.problem(405, "method_not_allowed");
    assert!(answer.header("allow").contains("GET"));
}

#[tokio::test]
async fn a_malformed_idempotency_key_is_refused_before_anything_is_done() {
    let api = Api::open().await;
    for key in ["", "\"\"", "\"open", &"k".repeat(256), &"k".repeat(10_000)] {
        api.post_with_key("/v1/batch", key, &batch(1)).await.problem(400, "idempotency_key_malformed");
    }
    assert_eq!(api.stored().await, 0);
}

#[tokio::test]
async fn a_single_essay_is_refused_with_the_code_of_its_fault() {
    let api = Api::open().await;
    let long = "a".repeat(200_001);
    let path = "/v1/trigger-spellcheck";
    let json_cases: [(&str, u16, &str); 9] = [
        (r#"{"text": ""}"#, 422, "empty_text"),
        (r#"{"text": " \n"}"#, 422, "blank_text"),
        (r#"{"text": "CANARY\u0000"}"#, 422, "nul_character"),
        (r#"{"text": "CANARY\ud800"}"#, 400, "invalid_utf8"),
        (r#"{"text": ["CANARY"]}"#, 422, "wrong_type"),
        (r#"{"language": "en"}"#, 422, "missing_field"),
        (r#"{"text": "a", "language": "de"}"#, 422, "unknown_language"),
        (r#"{"text": "a", "text": "CANARY"}"#, 400, "duplicate_key"),
        (r#"{"text": "CANARY"#, 400, "malformed_json"),
    ];
    for (body, status, code) in json_cases {
        let answer = api.post(path, "application/json", body).await;
        assert!(!answer.body.contains(SECRET), "{}", answer.body);
        answer.problem(status, code);
    }
    api.post_json(path, &json!({"text": long})).await.problem(413, "text_too_large");
    api.post(path, "text/plain", long).await.problem(413, "text_too_large");
    api.post(path, "text/plain", "").await.problem(422, "empty_text");
    api.post(path, "text/plain", &b"CANARY\xff"[..]).await.problem(400, "invalid_utf8");
    api.post(path, "text/html", "<p>").await.problem(415, "unsupported_media_type");
    api.post(path, "text/plain", "a".repeat(2_000_000)).await.problem(413, "body_too_large");
    assert_eq!(api.stored().await, 0);
}
