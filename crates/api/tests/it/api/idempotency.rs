//! An Idempotency-Key is bound to the content of its request, and not to how the content is written.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use engine::ports::{Clock as _, SystemClock};
use serde_json::json;
use store::{Lane, Store};

use super::{Answer, Api};

/// A request with the key `k`.
async fn send(api: &Api, path: &str, media_type: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path).header("content-type", media_type).header("idempotency-key", "k");
    api.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_batch_is_the_same_request_however_it_is_written() {
    let api = Api::open().await;
    let same = [
        (
            "application/json",
            r#"{"name":"9B","labels":{"a":"1","b":"2"},"essays":[{"client_ref":"é","text":"Hi"}]}"#,
        ),
        (
            "application/json",
            "{ \"essays\": [ {\"text\": \"\\u0048i\", \"client_ref\": \"\\u00e9\"} ],\n\"labels\": {\"b\":\"2\",\"a\":\"1\"}, \"name\": \"9B\"}",
        ),
        (
            "application/json; charset=utf-8",
            "\u{feff}{\"name\":\"9B\",\"language\":null,\"labels\":{\"a\":\"1\",\"b\":\"2\"},\"essays\":[{\"text\":\"\u{feff}Hi\",\"client_ref\":\"é\"}]}",
        ),
        (
            "application/x-ndjson",
            "{\"labels\":{\"b\":\"2\",\"a\":\"1\"},\"name\":\"9B\"}\n{\"text\":\"Hi\",\"client_ref\":\"é\"}\n",
        ),
    ];
    for (media_type, body) in same {
        let answer = send(&api, "/v1/batch", media_type, body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{body}: {}", answer.body);
    }
    assert_eq!(api.stored().await, 1);
    for other in [
        r#"{"name":"9C","labels":{"a":"1","b":"2"},"essays":[{"client_ref":"é","text":"Hi"}]}"#,
        r#"{"name":"9B","labels":{"a":"2","b":"1"},"essays":[{"client_ref":"é","text":"Hi"}]}"#,
        r#"{"name":"9B","labels":{"a":"1","b":"2"},"essays":[{"client_ref":"Hi","text":"é"}]}"#,
        r#"{"name":"9B","labels":{"a":"1","b":"2"},"essays":[{"client_ref":"é","text":"Hi"},{"text":"Hi"}]}"#,
        r#"{"labels":{"a":"1","b":"2","name":"9B"},"essays":[{"client_ref":"é","text":"Hi"}]}"#,
    ] {
        let answer = send(&api, "/v1/batch", "application/json", other).await;
        answer.problem(422, "idempotency_key_reused");
    }
}

#[tokio::test]
async fn the_order_of_essays_is_part_of_a_request() {
    let api = Api::open().await;
    let batch =
        |first: &str, second: &str| json!({"essays": [{"text": first}, {"text": second}]}).to_string();
    send(&api, "/v1/batch", "application/json", batch("one", "two")).await;
    send(&api, "/v1/batch", "application/json", batch("two", "one"))
        .await
        .problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_single_essay_is_the_same_request_however_it_is_written() {
    let api = Api::open().await;
    let path = "/v1/trigger-spellcheck";
    for body in [
        r#"{"text":"Hi","pupil":{"a":1,"b":[2]}}"#,
        r#"{"pupil": {"b": [2], "a": 1}, "language": null, "text": "\u0048i"}"#,
    ] {
        assert_eq!(send(&api, path, "application/json", body).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(api.stored().await, 1);
    for other in [
        r#"{"text":"Hi","pupil":{"a":2,"b":[2]}}"#,
        r#"{"text":"Hi"}"#,
        r#"{"text":"Hi","language":"en","pupil":1}"#,
    ] {
        send(&api, path, "application/json", other).await.problem(422, "idempotency_key_reused");
    }
}

#[tokio::test]
async fn a_start_request_is_the_same_request_however_it_is_written() {
    let api = Api::open().await;
    let batch = api.batch_of(1).await;
    api.store_texts(&batch).await;
    let path = format!("/v1/batch/{batch}/pipeline");
    let first = send(&api, &path, "application/json", r#"{"phases":["spellcheck"]}"#).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.body);
    let again = send(&api, &path, "application/json", "{ \"phases\" : [ \"spellcheck\" ] }\n").await;
    assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &first.body));
    let other = send(&api, &path, "application/json", r#"{"phases":["spellcheck","nlp"]}"#).await;
    other.problem(422, "idempotency_key_reused");
}

/// The fingerprints are those that the former version stored for these requests under the secret of this test: of the bytes of a
/// body, and of the parts of a form with their names as that version read them.
#[tokio::test]
async fn a_request_that_the_former_version_answered_is_replayed() {
    let json = r#"{"name": "9B", "essays": [{"text": "Hello there."}]}"#;
    let form = "--XX\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a%22b.txt\"\r\n\r\nHello there.\r\n--XX--\r\n";
    for (media_type, body, fingerprint) in [
        ("application/json", json, "1a6686befab5736190c8fd8704a16ad57f0fc658c62076fac5d329bdbc5c85a2"),
        (
            "multipart/form-data; boundary=XX",
            form,
            "975b0e5a5abeec5c851c23f31f28ad36596047e1a5b882f18515874efe7754f8",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bos.db");
        let store = Store::open_sqlite(&path, Arc::new(|| SystemClock::default().now())).unwrap();
        let secret = format!("1:{}", "07".repeat(32));
        let unit = store.unit(Lane::Caller, move |tx| {
            let secret = secret.clone();
            Box::pin(async move { tx.set_meta("idempotency_key", &secret).await })
        });
        let stored: Result<(), store::Error> = unit.await;
        stored.unwrap();
        let api = Api::on(store).await;
        let first = send(&api, "/v1/batch", media_type, body).await;
        assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.body);

        // A process of the former version beside this one takes the row for one under another secret, and replays it.
        let database = rusqlite::Connection::open(&path).unwrap();
        let key: i64 = database.query_row("SELECT key_id FROM idempotency", [], |row| row.get(0)).unwrap();
        assert_ne!(key, 1);

        let change = format!("UPDATE idempotency SET key_id = 1, fingerprint = x'{fingerprint}'");
        assert_eq!(database.execute(&change, []).unwrap(), 1);
        let again = send(&api, "/v1/batch", media_type, body).await;
        assert_eq!(
            (again.header("idempotency-replayed"), &again.body),
            ("true", &first.body),
            "{media_type}"
        );
        let other = send(&api, "/v1/batch", media_type, body.replace("Hello", "Hallo")).await;
        other.problem(422, "idempotency_key_reused");
    }
}
