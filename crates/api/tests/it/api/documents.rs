//! Clients read every document into the type that the server wrote it from.

use client::documents::{
    BatchAccepted, BatchDocument, BatchPage, DeadLetterDetail, DeadLetterList, EssayDocument, IssuedDocument,
    Limits, OutboxList, OutboxOutcome, Page, ProblemDocument, Readiness, ReplayOutcome, ResultLine,
    StatusDocument, TokenDocument, Triggered,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::operating::{park, set_aside};
use super::{Answer, Api};

/// Reads an answer into its type, and asserts that it is written back byte by byte.
#[track_caller]
fn read<T: Serialize + DeserializeOwned>(answer: &Answer) -> T {
    let document: T =
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    assert_eq!(serde_json::to_string(&document).unwrap(), answer.body.trim_end());
    document
}

#[tokio::test]
async fn a_document_is_read_into_its_type_and_written_back_unchanged() {
    let api = Api::open().await;
    let body = json!({"name": "9B", "course_code": "ENG5", "labels": {"class": "9B"}, "phases": ["spellcheck"],
        "on_invalid": "skip", "essays": [{"client_ref": "a", "text": "Text"}, {"text": "Text"}, {"text": " "}]});
    let accepted: BatchAccepted<'_> = read(&api.post_json("/v1/batch", &body).await);
    assert_eq!((accepted.essays.len(), accepted.rejections.len(), accepted.rejections[0].index), (2, 1, 2));
    let batch = format!("/v1/batch/{}", accepted.batch_id);
    api.store_texts(&accepted.batch_id.to_string()).await;

    let status: StatusDocument = read(&api.get(&format!("{batch}/status")).await);
    assert_eq!(status.batch_id, accepted.batch_id);
    assert!(!status.phases.is_empty() && status.waiting_on.is_some(), "{status:?}");
    let whole: BatchDocument = read(&api.get(&batch).await);
    assert_eq!((whole.status.revision, whole.labels["class"].as_str()), (status.revision, "9B"));
    let list: BatchPage = read(&api.get("/v1/batch?include=counts").await);
    assert_eq!((list.page.data.len(), list.counts.map(|counts| counts.len())), (1, Some(1)));
    let essays: Page<EssayDocument> = read(&api.get(&format!("{batch}/essays?limit=1")).await);
    assert!(essays.has_more && essays.next_cursor.is_some());
    let essay: EssayDocument = read(&api.get(&format!("/v1/essay/{}", essays.data[0].essay_id)).await);
    assert_eq!(essay.name(), "a");
    let mut results = api.get(&format!("{batch}/results")).await;
    results.body.truncate(results.body.find('\n').unwrap());
    assert_eq!(read::<ResultLine>(&results).essay_id, ResultLine::from(essay).essay_id);

    let trigger = json!({"text": "Text", "extra": 1});
    let triggered: Triggered = read(&api.post_json("/v1/trigger-spellcheck", &trigger).await);
    assert_eq!(triggered.ignored_fields, ["extra"]);
    let limits: Limits = read(&api.get("/v1/limits").await);
    assert_eq!(limits.essays_per_batch, 2_000);
    let readiness: Readiness = read(&api.get("/readyz").await);
    assert_eq!(readiness.status, "ready");
    let problem: ProblemDocument<'_> =
        read(&api.post_json("/v1/batch", &json!({"essays": [{"text": ""}]})).await);
    assert_eq!((problem.status, problem.errors.len()), (422, 1));
}

#[tokio::test]
async fn a_document_for_operators_is_read_into_its_type_and_written_back_unchanged() {
    let api = Api::open().await;
    let store = api.engine.store();
    let (message, letter) = (park(store, 1).await, set_aside(store, 7).await);
    let messages: OutboxList = read(&api.get("/v1/outbox").await);
    assert_eq!((messages.page.data[0].id.as_str(), messages.depth.parked), (message.as_str(), 1));
    let outcome: OutboxOutcome =
        read(&api.post_json(&format!("/v1/outbox/{message}/skip"), &json!({})).await);
    assert_eq!(outcome.outcome, "skipped");
    let letters: DeadLetterList = read(&api.get("/v1/dead-letters").await);
    assert_eq!((letters.page.data[0].id.as_str(), letters.depth.rows), (letter.as_str(), 1));
    let path = format!("/v1/dead-letters/{letter}");
    let detail: DeadLetterDetail = read(&api.get(&path).await);
    assert!(detail.record.is_none());
    let replayed: ReplayOutcome = read(&api.post_json(&format!("{path}/replay"), &json!({})).await);
    assert_eq!(replayed.outcome, "gone");

    let request = json!({"user_id": "anna", "expires_in": "90d", "note": "gradebook"});
    let issued: IssuedDocument = read(&api.post_json("/v1/tokens", &request).await);
    let tokens: Page<TokenDocument> = read(&api.get("/v1/tokens").await);
    assert_eq!(tokens.data[0].token_id, issued.about.token_id);
}
