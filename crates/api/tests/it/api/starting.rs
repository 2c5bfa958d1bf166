use axum::http::StatusCode;
use engine::News;
use serde_json::json;

use super::{Api, batch};

#[tokio::test]
async fn a_started_phase_is_answered_with_the_status() {
    let api = Api::open().await;
    let id = api.batch_of(2).await;
    let answer = api.post(&format!("/v1/batch/{id}/initiate-spellcheck"), "application/json", "").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    assert_eq!(answer.header("location"), format!("/v1/batch/{id}/status"));
    assert_eq!(answer.header("etag"), "\"2\"");
    assert_eq!(answer.json()["phases"][0]["phase"], "spellcheck");
    assert_eq!(api.get(&format!("/v1/batch/{id}/status")).await.body, answer.body);
}

#[tokio::test]
async fn a_pipeline_runs_in_order_with_missing_prerequisites_added() {
    let api = Api::open().await;
    let id = api.batch_of(2).await;
    let answer = api.post_json(&format!("/v1/batch/{id}/pipeline"), &json!({"phases": ["nlp"]})).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let phases: Vec<_> =
        answer.json()["phases"].as_array().unwrap().iter().map(|phase| phase["phase"].clone()).collect();
    assert_eq!(phases, ["spellcheck", "nlp"]);
}

#[tokio::test]
async fn a_refused_start_names_the_state_and_what_is_possible() {
    let api = Api::open().await;
    let id = api.batch_of(2).await;
    for phase in ["ai-feedback", "cj-assessment"] {
        let answer = api.post_json(&format!("/v1/batch/{id}/initiate-{phase}"), &json!({})).await;
        let problem = answer.problem(409, "phase_not_served");
        assert!(
            problem["detail"].as_str().unwrap().contains("available phases: spellcheck, nlp"),
            "{problem}"
        );
    }
    let pipeline = format!("/v1/batch/{id}/pipeline");
    api.post_json(&pipeline, &json!({"phases": ["ai_feedback"]})).await.problem(409, "phase_not_served");
    api.post_json(&pipeline, &json!({"phases": []})).await.problem(422, "no_phases");
    api.post_json(&pipeline, &json!({"phases": ["spelling"]})).await.problem(422, "unknown_phase");
    api.post_json(&pipeline, &json!({"phases": ["nlp", "nlp"]})).await.problem(422, "duplicate_phase");
    api.post_json(&pipeline, &json!({"phases": "nlp"})).await.problem(422, "wrong_type");
    api.post_json(&pipeline, &json!({"phase": ["nlp"]})).await.problem(422, "unknown_field");
    api.post_json(&pipeline, &json!({})).await.problem(422, "missing_field");
    api.post(&pipeline, "application/json", "{").await.problem(400, "malformed_json");
    api.post(&pipeline, "text/plain", "nlp").await.problem(415, "unsupported_media_type");
    let initiate = format!("/v1/batch/{id}/initiate-nlp");
    api.post_json(&initiate, &json!({"x": 1})).await.problem(422, "unknown_field");

    api.tell(id.parse().unwrap(), News::Cancel(domain::CancelMode::Abandon)).await;
    let problem = api.post_json(&initiate, &json!({})).await.json();
    assert_eq!(problem["status"], 409, "{problem}");
    let told = problem["detail"].as_str().unwrap();
    assert!(told.ends_with("the batch is cancelled, possible now: nothing."), "{told}");
}

#[tokio::test]
async fn a_single_essay_accepts_no_phase_but_spellcheck() {
    let api = Api::open().await;
    let essay = api.post("/v1/trigger-spellcheck", "text/plain", "Text").await;
    let batch = api.get(essay.header("location")).await.json()["batch_id"].as_str().unwrap().to_owned();
    api.post_json(&format!("/v1/batch/{batch}/initiate-nlp"), &json!({})).await.problem(409, "single_essay");
}

#[tokio::test]
async fn a_command_with_the_same_key_gets_the_same_answer() {
    let api = Api::open().await;
    let id = api.batch_of(1).await;
    let path = format!("/v1/batch/{id}/initiate-spellcheck");
    let first = api.post_with_key(&path, "k", &json!({})).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.body);
    api.store_texts(&id).await;
    let again = api.post_with_key(&path, "k", &json!({})).await;
    assert_eq!((again.body.as_str(), again.header("idempotency-replayed")), (first.body.as_str(), "true"));
    let other = api.post_json("/v1/batch", &batch(1)).await.json()["batch_id"].as_str().unwrap().to_owned();
    let elsewhere =
        api.post_with_key(&format!("/v1/batch/{other}/initiate-spellcheck"), "k", &json!({})).await;
    assert_eq!(elsewhere.json()["batch_id"], other, "the same key on another batch is another key");
}
