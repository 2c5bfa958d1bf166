use axum::http::StatusCode;
use serde_json::json;

use super::{Api, batch};

#[tokio::test]
async fn an_accepted_batch_lists_its_essays_and_links() {
    let api = Api::open().await;
    let answer = api.post_json("/v1/batch", &batch(2)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let body = answer.json();
    let id = body["batch_id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/v1/batch/{id}"));
    assert_eq!(answer.header("etag"), "\"1\"");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(body["correlation_id"], answer.header("x-correlation-id"));
    assert_eq!(body["status"], "pending_content");
    assert_eq!((&body["accepted"], &body["rejected"]), (&json!(2), &json!(0)));
    assert_eq!(body["essays"][1]["client_ref"], "s-001");
    assert_eq!(body["links"]["self"], format!("/v1/batch/{id}/status"));
    for link in body["links"].as_object().unwrap().values() {
        assert_eq!(api.get(link.as_str().unwrap()).await.status, StatusCode::OK, "{link}");
    }
    let essay = body["essays"][1]["essay_id"].as_str().unwrap();
    let essay = api.get(&format!("/v1/essay/{essay}")).await.json();
    assert_eq!(
        (&essay["position"], &essay["client_ref"], &essay["state"]),
        (&json!(1), &json!("s-001"), &json!("waiting"))
    );
    assert_eq!((&essay["batch_id"], &essay["size_bytes"]), (&json!(id), &json!(4)));
}

#[tokio::test]
async fn a_batch_keeps_its_submitted_fields() {
    let api = Api::open().await;
    let mut body = batch(1);
    body["phases"] = json!(["nlp"]);
    body["class_designation"] = json!("9B");
    body["essay_instructions"] = json!("Argue.\nBe brief.");
    body["assignment_id"] = json!("a-1");
    body["prompt_storage_id"] = json!("f".repeat(32));
    body["essays"] = json!([{"text_storage_id": "0".repeat(32)}]);
    let id = api.post_json("/v1/batch", &body).await.json()["batch_id"].as_str().unwrap().to_owned();
    let shown = api.get(&format!("/v1/batch/{id}")).await.json();
    for name in [
        "name",
        "course_code",
        "labels",
        "class_designation",
        "essay_instructions",
        "assignment_id",
        "prompt_storage_id",
    ] {
        assert_eq!(shown[name], body[name], "{name}");
    }
    assert_eq!((&shown["language"], &shown["kind"]), (&json!("en"), &json!("class")));
    assert_eq!(shown["planned"], json!(["spellcheck", "nlp"]), "a prerequisite was added");
}

#[tokio::test]
async fn a_batch_with_only_a_language_has_no_course() {
    let api = Api::open().await;
    let body = json!({"language": "sv", "essays": [{"text": "Hej"}]});
    let id = api.post_json("/v1/batch", &body).await.json()["batch_id"].as_str().unwrap().to_owned();
    let shown = api.get(&format!("/v1/batch/{id}")).await.json();
    assert_eq!((&shown["language"], &shown["course_code"]), (&json!("sv"), &json!(null)));
}

#[tokio::test]
async fn skip_accepts_the_valid_essays_and_lists_those_left_out() {
    let api = Api::open().await;
    let mut body = batch(3);
    body["on_invalid"] = json!("skip");
    body["essays"][1]["text"] = json!("");
    let answer = api.post_json("/v1/batch", &body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let told = answer.json();
    assert_eq!((&told["accepted"], &told["rejected"]), (&json!(2), &json!(1)));
    assert_eq!(
        told["essays"].as_array().unwrap().iter().map(|essay| &essay["client_ref"]).collect::<Vec<_>>(),
        ["s-000", "s-002"]
    );
    let rejection = &told["rejections"][0];
    assert_eq!((&rejection["index"], &rejection["client_ref"]), (&json!(1), &json!("s-001")));
    assert_eq!((&rejection["code"], &rejection["pointer"]), (&json!("empty_text"), &json!("/essays/1/text")));

    body["essays"] = json!([{"text": ""}, {"text": " "}]);
    let problem = api.post_json("/v1/batch", &body).await.problem(422, "invalid");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2);
    assert_eq!(api.stored().await, 1);
}

#[tokio::test]
async fn a_batch_can_be_submitted_as_ndjson() {
    let api = Api::open().await;
    let lines = "{\"name\": \"9B\", \"language\": \"en\"}\r\n{\"client_ref\": \"a\", \"text\": \"one\"}\n\n{\"text\": \"two\"}\n";
    let answer = api.post("/v1/batch", "application/x-ndjson", lines).await;
    assert_eq!(answer.json()["accepted"], 2, "{}", answer.body);

    let bad = "{\"essays\": []}\n{\"text\": \"one\"}\nnonsense\n[]";
    let problem = api.post("/v1/batch", "application/x-ndjson", bad).await.problem(422, "invalid");
    let places: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (&error["pointer"], &error["code"]))
        .collect();
    assert_eq!(
        places,
        [
            (&json!("/essays"), &json!("unknown_field")),
            (&json!("/essays/1"), &json!("malformed_json")),
            (&json!("/essays/2"), &json!("wrong_type")),
        ]
    );
    api.post("/v1/batch", "application/x-ndjson", "nonsense").await.problem(400, "malformed_json");
    api.post("/v1/batch", "application/x-ndjson", "").await.problem(422, "no_essays");
    assert_eq!(api.stored().await, 1);
}

fn form(boundary: &str, parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend_from_slice(
            format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}

#[tokio::test]
async fn a_batch_can_be_submitted_as_files() {
    let api = Api::open().await;
    let parts: [(&str, &[u8]); 5] = [
        ("name=\"name\"", "9B".as_bytes()),
        ("name=\"course_code\"", b"SV1"),
        ("name=\"phases\"", b"spellcheck, nlp"),
        ("name=\"essays\"; filename=\"C:\\work\\s-001.txt\"", "\u{feff}Hej på dig".as_bytes()),
        ("name=\"essays\"; filename=\"s-002.md\"", b"Hej"),
    ];
    let answer = api.post("/v1/batch", "multipart/form-data; boundary=xyz", form("xyz", &parts)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let told = answer.json();
    assert_eq!(told["essays"][0]["client_ref"], "s-001");
    let essay =
        api.get(&format!("/v1/essay/{}", told["essays"][0]["essay_id"].as_str().unwrap())).await.json();
    assert_eq!(essay["size_bytes"], 11, "the byte order mark is not part of the text");
    let shown = api.get(told["links"]["batch"].as_str().unwrap()).await.json();
    assert_eq!((&shown["language"], &shown["planned"]), (&json!("sv"), &json!(["spellcheck", "nlp"])));

    let bad: [(&str, &[u8]); 4] = [
        ("name=\"nmae\"", b"9B"),
        ("name=\"essays\"; filename=\"all.zip\"", b"PK"),
        ("name=\"essays\"; filename=\"s-001.docx\"", b"PK"),
        ("name=\"essays\"; filename=\"s-002.txt\"", b"\xff\xfeH\0"),
    ];
    let answer = api.post("/v1/batch", "multipart/form-data; boundary=xyz", form("xyz", &bad)).await;
    let problem = answer.problem(422, "invalid");
    let codes: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["unknown_field", "not_available", "unsupported_file", "invalid_utf8"]);
    api.post("/v1/batch", "multipart/form-data", "x").await.problem(400, "malformed_form");
    api.post("/v1/batch", "multipart/form-data; boundary=xyz", "x").await.problem(400, "malformed_form");
    assert_eq!(api.stored().await, 1);
}

#[tokio::test]
async fn a_batch_of_several_megabytes_is_accepted_and_refused_like_a_small_one() {
    let api = Api::open().await;
    let text = "Line\n".repeat(30_000);
    let mut body = json!({"essays": vec![json!({"text": text}); 20]});
    assert_eq!(api.post_with_key("/v1/batch", "k", &body).await.json()["accepted"], 20);
    assert_eq!(api.post_with_key("/v1/batch", "k", &body).await.header("idempotency-replayed"), "true");
    body["essays"][19]["text"] = json!("\0");
    let problem = api.post_json("/v1/batch", &body).await.problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/essays/19/text");
    assert_eq!(api.stored().await, 1);
}

#[tokio::test]
async fn a_request_repeated_with_the_same_key_is_done_once() {
    let api = Api::open().await;
    let first = api.post_with_key("/v1/batch", "\"7b0c\"", &batch(2)).await;
    let again = api.post_with_key("/v1/batch", "7b0c", &batch(2)).await;
    assert_eq!((first.status, again.status), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
    assert_eq!(first.body, again.body);
    assert_eq!(
        (first.header("location"), first.header("etag")),
        (again.header("location"), again.header("etag"))
    );
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    api.post_with_key("/v1/batch", "7b0c", &batch(3)).await.problem(422, "idempotency_key_reused");
    assert_eq!(api.stored().await, 1);

    let essay = json!({"text": "Text"});
    let single = api.post_with_key("/v1/trigger-spellcheck", "7b0c", &essay).await;
    assert_eq!(single.status, StatusCode::ACCEPTED, "the same key on another route is another key");
    assert_eq!(api.post_with_key("/v1/trigger-spellcheck", "7b0c", &essay).await.body, single.body);
    assert_eq!(api.stored().await, 2);
}

#[tokio::test]
async fn sixty_four_concurrent_requests_with_one_key_create_one_batch() {
    let api = Api::open().await;
    let body = batch(2);
    let answers =
        futures::future::join_all((0..64).map(|_| api.post_with_key("/v1/batch", "k", &body))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == StatusCode::ACCEPTED && answer.body.contains("batch_id"))
    );
    assert_eq!(answers.iter().filter(|answer| answer.header("idempotency-replayed").is_empty()).count(), 1);
    assert_eq!(api.stored().await, 1);
}

#[tokio::test]
async fn a_form_with_another_boundary_is_the_same_request() {
    let api = Api::open().await;
    let parts: [(&str, &[u8]); 1] = [("name=\"essays\"; filename=\"a.txt\"", b"Text")];
    let mut bodies = Vec::new();
    for boundary in ["one", "two"] {
        let request = axum::http::Request::post("/v1/batch")
            .header("content-type", format!("multipart/form-data; boundary={boundary}"))
            .header("idempotency-key", "k")
            .body(axum::body::Body::from(form(boundary, &parts)))
            .unwrap();
        bodies.push(api.send(request).await.body);
    }
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(api.stored().await, 1);
}

#[tokio::test]
async fn a_single_essay_is_sent_directly_to_the_spell_checker() {
    let api = Api::open().await;
    let body = json!({"text": "A text.", "pupil": "x", "not a name of a field": 1});
    let answer = api.post_json("/v1/trigger-spellcheck", &body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let told = answer.json();
    let essay = told["essay_id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/v1/essay/{essay}"));
    assert_eq!(told["correlation_id"], answer.header("x-correlation-id"));
    assert_eq!(told["ignored_fields"], json!(["pupil"]));
    assert!(told["message"].as_str().is_some_and(|message| !message.is_empty()));

    let plain = api.post("/v1/trigger-spellcheck", "text/plain; charset=utf-8", "A text.\r\n").await;
    assert_eq!(plain.status, StatusCode::ACCEPTED);
    assert_eq!(
        plain.json().as_object().unwrap().keys().collect::<Vec<_>>(),
        ["correlation_id", "essay_id", "message"]
    );

    let shown = api.get(answer.header("location")).await.json();
    let batch = api.get(&format!("/v1/batch/{}", shown["batch_id"].as_str().unwrap())).await.json();
    assert_eq!((&batch["kind"], &batch["language"]), (&json!("single"), &json!("en")));
    let classes = api.get("/v1/batch").await.json();
    assert_eq!(classes["data"], json!([]), "single essays are listed only when asked for");
}

#[tokio::test]
async fn a_batch_keeps_the_correlation_id_of_its_request() {
    let api = Api::open().await;
    let id = "0b9c6c0e-3f6e-4f1c-9a43-1d4a4a1f6a10";
    let request = axum::http::Request::post("/v1/batch")
        .header("content-type", "application/json")
        .header("x-correlation-id", id)
        .body(axum::body::Body::from(batch(1).to_string()))
        .unwrap();
    let told = api.send(request).await.json();
    assert_eq!(told["correlation_id"], id);
    assert_eq!(api.get(told["links"]["batch"].as_str().unwrap()).await.json()["correlation_id"], id);
}
