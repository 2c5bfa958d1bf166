//! A Content Service that fails in every known way behind `content_service_url`: texts wait, invalid ids are not stored, and the
//! batch completes when the Content Service works again.

mod hostile;
pub(crate) mod service;

use std::time::Duration;

use hostile::{Hostile, Manner, reply};
use serde_json::json;
use service::Service;

const ESSAYS: [&str; 3] = ["One fine text.", "Another text, not so fine.", "A third one."];

/// Short timeouts and back-offs, for most tests.
const SHORT: &[(&str, &str)] =
    &[("content_timeout", "400ms"), ("retry_first_delay", "50ms"), ("retry_max_delay", "200ms")];

/// Asserts that texts wait with this code while the Content Service misbehaves, and that no id is stored. Afterwards the batch
/// completes, and every stored id leads to the submitted text.
async fn waits_then_completes(manner: Manner, code: &str) -> Hostile {
    let content = Hostile::start(manner).await;
    let service = Service::start(content.url(), SHORT).await;
    let batch = service.submit(&ESSAYS).await;
    let status = service.until(&batch, |status| status["waiting_on"]["code"] == code).await;
    assert_eq!(status["status"], "pending_content");
    assert!(status["waiting_on"]["next_check_at"].is_string(), "{status}");
    // A second round of uploads begins without a request.
    content.asked(ESSAYS.len() + 1).await;
    for essay in service.essays(&batch).await {
        assert!(essay["text_storage_id"].is_null(), "{essay}");
        assert_eq!(essay["state"], "waiting");
    }

    content.turns(Manner::Good);
    completes(&service, &content, &batch).await;
    service.stop().await;
    content
}

async fn completes(service: &Service, content: &Hostile, batch: &str) {
    let status = service.until(batch, |status| !status["ended_at"].is_null()).await;
    assert_eq!(status["status"], "completed_successfully", "{status}");
    for (essay, text) in service.essays(batch).await.iter().zip(ESSAYS) {
        assert_eq!(content.text(essay["text_storage_id"].as_str().unwrap()), text);
    }
}

#[tokio::test]
async fn texts_wait_for_an_unreachable_service_and_are_stored_when_it_is_back() {
    let content = Hostile::not_listening();
    let service = Service::start(content.url(), SHORT).await;
    let batch = service.submit(&ESSAYS).await;
    let status = service.until(&batch, |status| status["waiting_on"]["code"] == "content_unreachable").await;
    let sentence = status["sentence"].as_str().unwrap();
    assert!(sentence.contains("the Content Service cannot be reached just now"), "{sentence}");
    let content = content.listen();
    completes(&service, &content, &batch).await;
    service.stop().await;
}

#[tokio::test]
async fn while_the_backlog_is_full_repeated_requests_are_answered_and_new_ones_refused() {
    let content = Hostile::not_listening();
    let service = Service::start(content.url(), &[("max_staged_size", "60 B")]).await;
    let class = json!({"essays": ESSAYS.map(|text| json!({"text": text}))});
    let (accepted, _) = service.post_with_key("/v1/batch", &class, "k-1").await;
    let (full, _) = service.post_with_key("/v1/batch", &class, "k-2").await;
    assert_eq!(full["code"], "backlog_full", "{full}");
    let (again, replayed) = service.post_with_key("/v1/batch", &class, "k-1").await;
    assert_eq!((again, replayed.as_deref()), (accepted, Some("true")));
    let other = json!({"essays": [{"text": "Not what was asked before, and too much as well."}]});
    let (refused, _) = service.post_with_key("/v1/batch", &other, "k-1").await;
    assert_eq!(refused["code"], "idempotency_key_reused", "{refused}");
    service.stop().await;
}

#[tokio::test]
async fn uploads_to_an_overloaded_service_are_retried() {
    for status in
        ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "429 Too Many Requests"]
    {
        waits_then_completes(reply(status, "", "no"), "content_refuses").await;
    }
}

#[tokio::test]
async fn retry_after_is_obeyed_up_to_the_maximum_delay() {
    let busy = |seconds: u64| reply("503 Service Unavailable", &format!("Retry-After: {seconds}\r\n"), "");
    let content = Hostile::start(busy(1)).await;
    let patient = [("retry_first_delay", "50ms"), ("retry_max_delay", "30s")];
    let service = Service::start(content.url(), &patient).await;
    let batch = service.submit(&ESSAYS[..1]).await;
    content.asked(2).await;
    let gap = content.gap();
    assert!(gap >= Duration::from_secs(1), "asked again after {gap:?}");
    content.turns(Manner::Good);
    service.until(&batch, |status| status["status"] == "completed_successfully").await;
    service.stop().await;

    // A day is more than `retry_max_delay`, so the retry comes within the time limit of the test.
    waits_then_completes(busy(86_400), "content_refuses").await;
}

#[tokio::test]
async fn a_text_that_is_refused_for_good_fails_alone() {
    for status in ["400 Bad Request", "413 Payload Too Large", "415 Unsupported Media Type"] {
        let content = Hostile::start(Manner::Picky { word: "not so fine", status }).await;
        let service = Service::start(content.url(), SHORT).await;
        let batch = service.submit(&ESSAYS).await;
        let ended = service.until(&batch, |status| !status["ended_at"].is_null()).await;
        assert_eq!(ended["status"], "completed_with_failures", "{status}: {ended}");
        let essays = service.essays(&batch).await;
        let outcomes: Vec<_> = essays.iter().map(|essay| (&essay["state"], &essay["error_code"])).collect();
        let done = (&"succeeded".into(), &serde_json::Value::Null);
        assert_eq!(outcomes, [done, (&"failed".into(), &"content_refused".into()), done], "{status}");
        assert_eq!(content.times_asked(), 3, "a refusal is final");
        service.stop().await;
    }
}

#[tokio::test]
async fn a_service_that_never_answers_or_answers_too_slowly_runs_into_the_timeout() {
    waits_then_completes(Manner::Hangs, "content_unreachable").await;
    waits_then_completes(Manner::Drips, "content_unreachable").await;
}

#[tokio::test]
async fn an_outage_is_reported_before_every_text_was_tried() {
    let content = Hostile::start(Manner::Hangs).await;
    let service = Service::start(content.url(), SHORT).await;
    let batch = service.submit(&["The same text."; 60]).await;
    service.until(&batch, |status| status["waiting_on"]["code"] == "content_unreachable").await;
    assert!(content.times_asked() < 60, "asked {} times", content.times_asked());
    content.turns(Manner::Good);
    service.until(&batch, |status| status["status"] == "completed_successfully").await;
    service.stop().await;
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    for head in ["Content-Length: 1073741824\r\n", "Transfer-Encoding: chunked\r\n"] {
        let content = waits_then_completes(Manner::Floods(head), "content_refuses").await;
        let swallowed = content.most_sent();
        assert!(swallowed < 32 << 20, "{head}: {swallowed} bytes went out");
    }
}

#[tokio::test]
async fn an_invalid_id_is_never_stored() {
    let long = format!("{{\"storage_id\": \"{}\"}}", "a".repeat(10_000));
    for body in [
        "",
        "Created",
        "{\"storage_id\": ",
        "{}",
        "{\"id\": \"00000000000000000000000000000000\"}",
        "{\"storage_id\": null}",
        "{\"storage_id\": \"\"}",
        "{\"storage_id\": \"../x\"}",
        "{\"storage_id\": \"http://elsewhere/1\"}",
        &long,
    ] {
        waits_then_completes(reply("201 Created", "", body), "content_refuses").await;
    }
}

#[tokio::test]
async fn a_compressed_answer_is_not_decompressed() {
    // {"storage_id": "00000000000000000000000000000000"}, a valid id if it were decompressed.
    const COMPRESSED: &[u8] = include_bytes!("neighbour/folded.gz");
    let mut answer = format!(
        "HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        COMPRESSED.len()
    )
    .into_bytes();
    answer.extend_from_slice(COMPRESSED);
    let content = waits_then_completes(Manner::Says(answer), "content_refuses").await;
    assert!(!content.heads().to_lowercase().contains("accept-encoding"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let canary = Hostile::start(Manner::Good).await;
    for status in ["302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let to_canary = reply(status, &format!("Location: {}\r\n", canary.url()), "");
        waits_then_completes(to_canary, "content_refuses").await;
    }
    assert_eq!(canary.times_asked(), 0);
}

#[tokio::test]
async fn a_text_whose_answer_was_lost_is_stored_again() {
    let content = waits_then_completes(Manner::StoresAndResets, "content_unreachable").await;
    assert!(content.texts() > ESSAYS.len(), "texts stored without an answer remain as orphans");
}
