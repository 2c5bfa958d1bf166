//! Static tokens: what they give access to, and when they end.

use std::time::Duration;

use serde_json::json;

use super::{Answer, Guarded, Method, id_of};
use crate::program::PATIENCE;

const ADMIN: &[&str] = &["--user", "root", "--scope", "admin"];

#[tokio::test]
async fn requests_without_a_token_or_with_a_wrong_one_are_refused() {
    let (guarded, [token]) = Guarded::with_tokens([&["--user", "ann"]]);
    let path = "/v1/batch";
    assert_eq!(guarded.get(path, &token).await.status, 200);
    assert_eq!(
        guarded.get_as(path, &format!("bearer {token}")).await.status,
        200,
        "the scheme is case-insensitive"
    );

    let none = Answer::of(guarded.request(Method::GET, path)).await;
    none.refuses(401, "unauthenticated");
    assert_eq!(none.headers["www-authenticate"], "Bearer realm=\"bos\"");
    let unread = guarded.request(Method::POST, path).body("x".repeat(1 << 20));
    let unread = Answer::of(unread).await;
    unread.refuses(401, "unauthenticated");
    assert_eq!(unread.headers["connection"], "close", "its body was not read");
    let named = guarded.request(Method::GET, path).header("x-user-id", "ann");
    Answer::of(named).await.refuses(401, "unauthenticated");

    let flipped = |at: usize| {
        let old = &token[at..=at];
        format!("{}{}{}", &token[..at], if old == "0" { "1" } else { "0" }, &token[at + 1..])
    };
    let upper = token.to_uppercase();
    for wrong in [&flipped(5), &flipped(token.len() - 1), &upper, "", "bos_", id_of(&token)] {
        guarded.get(path, wrong).await.refuses(401, "invalid_token");
    }
    for wrong in
        [format!("Basic {token}"), token.clone(), format!("Bearer {token} {token}"), "Bearer".to_owned()]
    {
        guarded.get_as(path, &wrong).await.refuses(401, "invalid_token");
    }
    let twice = guarded.request(Method::GET, path).bearer_auth(&token).bearer_auth(&token);
    Answer::of(twice).await.refuses(401, "invalid_token");
}

#[tokio::test]
async fn monitoring_needs_no_token_and_documentation_needs_one() {
    let (guarded, [token]) = Guarded::with_tokens([&["--user", "ann", "--scope", "read"]]);
    for path in ["/healthz", "/v1/healthz", "/readyz", "/metrics", "/problems", "/problems/invalid_token"] {
        assert_eq!(Answer::of(guarded.request(Method::GET, path)).await.status, 200, "{path}");
    }
    for path in ["/docs/", "/docs/swagger-ui.css", "/openapi.json", "/v1/limits"] {
        Answer::of(guarded.request(Method::GET, path)).await.refuses(401, "unauthenticated");
        assert_eq!(guarded.get(path, &token).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_token_is_rotated_without_locking_its_user_out() {
    let (guarded, [admin, old]) = Guarded::with_tokens([ADMIN, &["--user", "ann", "--org", "school"]]);
    let batch = guarded.post("/v1/batch", &old, &json!({"essays": [{"text": "Text"}]})).await;
    let path = format!("/v1/batch/{}", batch.json()["batch_id"].as_str().unwrap());

    let made = guarded.post("/v1/tokens", &admin, &json!({"user_id": "ann", "org_id": "school"})).await;
    assert_eq!((made.status, &made.json()["scopes"]), (201, &json!(["read", "write"])));
    assert_eq!(made.headers["cache-control"], "no-store");
    let new = made.json()["token"].as_str().unwrap().to_owned();
    for token in [&old, &new] {
        assert_eq!(guarded.get(&path, token).await.status, 200, "both are valid, for the same user");
    }

    let revoke = || guarded.request(Method::DELETE, &format!("/v1/tokens/{}", id_of(&old)));
    assert_eq!(Answer::of(revoke().bearer_auth(&admin)).await.status, 204);
    // Revocation takes effect with the next request.
    let refused = guarded.get(&path, &old).await;
    refused.refuses(401, "invalid_token");
    assert!(refused.json()["detail"].as_str().unwrap().contains("revoked"));
    assert_eq!(guarded.get(&path, &new).await.status, 200);
    assert_eq!(Answer::of(revoke().bearer_auth(&admin)).await.status, 204, "revoking again is no error");

    let list = guarded.get("/v1/tokens?user_id=ann", &admin).await.json();
    let mut statuses: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|token| token["status"].as_str().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["active", "revoked"]);
}

#[tokio::test]
async fn only_the_bearer_of_an_expired_token_learns_that_it_expired() {
    let (guarded, [token]) = Guarded::with_tokens([&["--user", "ann", "--expires", "1s"]]);
    let expired = tokio::time::timeout(PATIENCE, async {
        loop {
            let answer = guarded.get("/v1/limits", &token).await;
            if answer.status != 200 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let expired = expired.await.unwrap();
    expired.refuses(401, "invalid_token");
    assert!(expired.json()["detail"].as_str().unwrap().contains("expired"));
    let guess = format!("bos_{}_{}", id_of(&token), "0".repeat(64));
    let guessed = guarded.get("/v1/limits", &guess).await;
    assert!(guessed.json()["detail"].as_str().unwrap().contains("not known"), "{}", guessed.body);
}

#[tokio::test]
async fn two_callers_with_the_same_idempotency_key_get_a_batch_each() {
    let (guarded, [ann, bob]) = Guarded::with_tokens([&["--user", "ann"], &["--user", "bob"]]);
    let submit = async |token: &str| {
        let request = guarded.request(Method::POST, "/v1/batch").bearer_auth(token);
        let request = request.header("content-type", "application/json").header("idempotency-key", "k-1");
        let answer = Answer::of(request.body(r#"{"essays": [{"text": "Text"}]}"#)).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        (answer.json()["batch_id"].clone(), answer.headers.contains_key("idempotency-replayed"))
    };
    let (of_ann, of_bob) = (submit(&ann).await, submit(&bob).await);
    assert_ne!(of_ann.0, of_bob.0);
    assert!(!of_bob.1);
    assert_eq!(submit(&ann).await, (of_ann.0, true));
}

#[tokio::test]
async fn the_refusal_of_a_token_request_lists_every_fault_and_repeats_no_input() {
    let (guarded, [admin]) = Guarded::with_tokens([ADMIN]);
    let body = json!({"user_id": "", "org_id": "a\u{0}b", "scopes": [], "expires_in": "soon-SECRET"});
    let answer = guarded.post("/v1/tokens", &admin, &body).await;
    assert_eq!(
        (answer.status, answer.json()["errors"].as_array().unwrap().len()),
        (422, 4),
        "{}",
        answer.body
    );
    assert!(!answer.body.contains("SECRET"));
    for body in [
        json!({"user_id": "ann", "scopes": ["root"]}),
        json!({"user_id": "ann", "token": "bos_mine"}),
        json!({"user_id": "ann", "token_id": "0123456789abcdef"}),
        json!({"user_id": "ann", "created_at": "2020-01-01T00:00:00Z"}),
    ] {
        assert_eq!(guarded.post("/v1/tokens", &admin, &body).await.status, 422, "{body}");
    }
    for path in ["/v1/tokens?cursor=x", "/v1/tokens?user_id=a%00b", "/v1/tokens?limit=0"] {
        assert_eq!(guarded.get(path, &admin).await.status, 400, "{path}");
    }
    for id in ["0123456789abcdef", "x", "a%00b"] {
        let delete = guarded.request(Method::DELETE, &format!("/v1/tokens/{id}")).bearer_auth(&admin);
        assert_eq!(Answer::of(delete).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn unknown_tokens_add_no_metric_series_and_no_memory() {
    let (guarded, [token]) = Guarded::with_tokens([&["--user", "ann"]]);
    let ask = async |number: usize| {
        // Well-formed ones, which are looked up, alternate with ones so large that keeping them would show in the memory.
        let secret = "0".repeat(if number.is_multiple_of(2) { 64 } else { 16_000 });
        let wrong = format!("bos_{number:016x}_{secret}");
        guarded.get("/v1/limits", &wrong).await.refuses(401, "invalid_token");
    };
    // Series of requests and callers; background tasks add theirs at any time.
    let series = async || {
        let page = Answer::of(guarded.request(Method::GET, "/metrics")).await.body;
        page.lines().filter(|line| line.starts_with("bos_http_") || line.starts_with("bos_callers_")).count()
    };
    for number in 0..500 {
        ask(number).await;
    }
    // The first request for the metrics adds a series itself.
    series().await;
    let (before, memory) = (series().await, resident(guarded.server.process_id()));
    for number in 500..2_500 {
        ask(number).await;
    }
    assert_eq!(series().await, before, "no series per token");
    if let (Some(before), Some(after)) = (memory, resident(guarded.server.process_id())) {
        // The large ones are 16 MB together.
        assert!(after < before + 10_240, "{before} kB → {after} kB");
    }
    assert_eq!(guarded.get("/v1/limits", &token).await.status, 200);
}

/// Resident memory of a process in kB, if the system reports it.
fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
