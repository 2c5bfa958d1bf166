//! Callers that a gateway names.

use serde_json::json;

use crate::program::{PATIENCE, write_secret};

use super::{Answer, GATEWAY, Guarded, Method, RequestBuilder, make};

#[tokio::test]
async fn only_the_gateway_names_callers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway-token");
    write_secret(&file, GATEWAY);
    let admin = make(&folder, &["--user", "root", "--scope", "admin"]);
    let file = format!("gateway_token_file={}", file.to_str().unwrap());
    let guarded = Guarded::on(folder, &["auth=gateway", &file]);
    let ask = async |token: Option<&str>, headers: &[(&str, &str)], path: &str| {
        let request = guarded.request(Method::GET, path);
        let request = token.into_iter().fold(request, RequestBuilder::bearer_auth);
        Answer::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    };

    let (ann, school) = (("x-user-id", "ann"), ("x-org-id", "school"));
    ask(None, &[ann], "/v1/batch").await.refuses(401, "unauthenticated");
    ask(Some("another-token-of-thirty-two-letters-or-more"), &[ann], "/v1/batch")
        .await
        .refuses(401, "invalid_token");
    ask(Some(&GATEWAY[..GATEWAY.len() - 1]), &[ann], "/v1/batch").await.refuses(401, "invalid_token");
    for unnamed in
        [&[][..], &[("x-user-id", "")], &[school], &[ann, ("x-user-id", "bob")], &[ann, school, school]]
    {
        ask(Some(GATEWAY), unnamed, "/v1/batch").await.refuses(401, "invalid_token");
    }

    let submit = guarded.request(Method::POST, "/v1/batch").bearer_auth(GATEWAY).header(ann.0, ann.1);
    let submit = submit.header(school.0, school.1).header("content-type", "application/json");
    let batch = Answer::of(submit.body(json!({"essays": [{"text": "Text"}]}).to_string())).await;
    assert_eq!(batch.status, 202, "{}", batch.body);
    let path = format!("/v1/batch/{}", batch.json()["batch_id"].as_str().unwrap());
    assert_eq!(ask(Some(GATEWAY), &[ann, school], &path).await.status, 200);
    for stranger in [&[ann][..], &[("x-user-id", "bob"), school], &[ann, ("x-org-id", "other")]] {
        let answer = ask(Some(GATEWAY), stranger, &path).await;
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("unknown_batch")));
    }

    // A caller that the gateway names is no administrator. An administrator has a token, and the headers do not change its user.
    ask(Some(GATEWAY), &[ann], "/v1/tokens").await.refuses(403, "insufficient_scope");
    let list = ask(Some(&admin), &[ann], "/v1/tokens").await;
    assert_eq!((list.status, &list.json()["data"][0]["user_id"]), (200, &json!("root")));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_token_is_used_without_a_restart_after_a_refusal_and_after_sighup() {
    const ROTATED: &str = "another-token-of-thirty-two-letters-or-more";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway-token");
    write_secret(&file, GATEWAY);
    let setting = format!("gateway_token_file={}", file.to_str().unwrap());
    let guarded = Guarded::on(folder, &["auth=gateway", &setting]);
    let ask = async |token: &str| {
        let request = guarded.request(Method::GET, "/v1/batch").bearer_auth(token).header("x-user-id", "ann");
        Answer::of(request).await
    };
    assert_eq!(ask(GATEWAY).await.status, 200);

    write_secret(&file, ROTATED);
    assert_eq!(ask(ROTATED).await.status, 200, "the refusal has the file read again");
    ask(GATEWAY).await.refuses(401, "invalid_token");

    // The present token is never refused, so that only the signal has the file read again.
    write_secret(&file, GATEWAY);
    let hung_up =
        std::process::Command::new("kill").args(["-HUP", &guarded.server.process_id().to_string()]).status();
    assert!(hung_up.unwrap().success());
    let refused = async { while ask(ROTATED).await.status != 401 {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("SIGHUP has the file read again");
    assert_eq!(ask(GATEWAY).await.status, 200);
}
