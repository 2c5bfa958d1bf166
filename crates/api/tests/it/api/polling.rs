use std::time::Duration;

use axum::http::StatusCode;
use engine::News;
use serde_json::json;

use super::{Api, batch};

#[tokio::test]
async fn the_status_shows_the_progress_and_its_counts_sum() {
    let api = Api::open().await;
    let mut body = batch(3);
    body["phases"] = json!(["spellcheck"]);
    let id = api.post_json("/v1/batch", &body).await.json()["batch_id"].as_str().unwrap().to_owned();
    let answer = api.get(&format!("/v1/batch/{id}/status")).await;
    assert_eq!((answer.header("etag"), answer.header("retry-after")), ("\"1\"", "1"));
    let status = answer.json();
    assert_eq!(status["batch_id"], id);
    assert_eq!(status["name"], "9B argumentative text");
    assert_eq!(
        (&status["status"], &status["revision"], &status["run"]),
        (&json!("pending_content"), &json!(1), &json!(1))
    );
    assert_eq!(
        (&status["paused"], &status["needs_attention"], &status["ended_at"]),
        (&json!(false), &json!(false), &json!(null))
    );
    assert_eq!(
        status["counts"],
        json!({"total": 3, "waiting": 3, "in_progress": 0, "succeeded": 0, "failed": 0, "cancelled": 0, "skipped": 0})
    );
    assert_eq!(status["phases"][0]["phase"], "spellcheck");
    assert_eq!(
        status["phases"][0]["essay_counts"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["failed", "pending_dispatch_or_processing", "successful", "total"]
    );
    assert_eq!(status["waiting_on"]["code"], "texts");
    assert_eq!(status["sentence"], "0 of 3 texts are stored.");

    api.store_texts(&id).await;
    let status = api.get(&format!("/v1/batch/{id}/status")).await.json();
    assert_eq!(status["revision"], 2);
    assert_eq!(status["waiting_on"]["code"], "registration");
    api.tell(id.parse().unwrap(), News::Registered).await;
    let status = api.get(&format!("/v1/batch/{id}/status")).await.json();
    assert_eq!((&status["status"], &status["revision"]), (&json!("processing"), &json!(3)));
    assert_eq!(status["counts"]["in_progress"], 3);
    assert_eq!(status["phases"][0]["waiting_on"]["code"], "results");
    assert_eq!(status["sentence"], "0 of 3 ready; spellcheck is working on 3.");
}

#[tokio::test]
async fn an_unchanged_batch_is_304_and_a_changed_one_is_not() {
    let api = Api::open().await;
    let id = api.batch_of(1).await;
    let path = format!("/v1/batch/{id}/status");
    for tag in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
        let answer = api.get_with(&path, "if-none-match", tag).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{tag}");
        assert_eq!(answer.header("etag"), "\"1\"");
        assert_eq!(
            api.get_with(&format!("/v1/batch/{id}"), "if-none-match", tag).await.status,
            StatusCode::NOT_MODIFIED
        );
    }
    assert_eq!(api.get_with(&path, "if-none-match", "\"2\"").await.status, StatusCode::OK);
    api.store_texts(&id).await;
    let answer = api.get_with(&path, "if-none-match", "\"1\"").await;
    assert_eq!((answer.status, answer.header("etag")), (StatusCode::OK, "\"2\""));
    assert_eq!(answer.json()["revision"], 2);
}

#[tokio::test]
async fn a_waiting_request_is_answered_when_the_batch_changes() {
    let api = Api::open().await;
    let id = api.batch_of(1).await;
    let path = format!("/v1/batch/{id}/status?wait=20s");
    let (answer, ()) = tokio::join!(api.get_with(&path, "if-none-match", "\"1\""), async {
        // `join!` polls the other branch first, so it has subscribed before this one changes the batch.
        tokio::task::yield_now().await;
        api.store_texts(&id).await;
    });
    assert_eq!((answer.status, answer.header("etag")), (StatusCode::OK, "\"2\""));
    let known = api.get_with(&path, "if-none-match", "\"1\"").await;
    assert_eq!(known.header("etag"), "\"2\"", "a change before the request is answered at once");
}

#[tokio::test]
async fn a_wait_without_a_change_ends_when_its_time_is_over() {
    let api = Api::open().await;
    let id = api.batch_of(1).await;
    let path = format!("/v1/batch/{id}/status?wait=20ms");
    let same = api.get_with(&path, "if-none-match", "\"1\"").await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);
    assert_eq!(api.get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_wait_for_an_ended_batch_is_answered_at_once() {
    let api = Api::open().await;
    let id = api.batch_of(1).await;
    api.tell(id.parse().unwrap(), News::Cancel(domain::CancelMode::Abandon)).await;
    let path = format!("/v1/batch/{id}/status?wait=20s");
    let answer = tokio::time::timeout(Duration::from_secs(10), api.get(&path)).await.unwrap();
    assert_eq!((answer.json()["status"].as_str(), answer.header("retry-after")), (Some("cancelled"), ""));
    assert_eq!(answer.json()["waiting_on"], json!(null));
    assert_eq!(answer.json()["sentence"], "Cancelled, 0 of 1 essays are done.");
}
