//! A token is printed once: no database file, log, answer or metric contains it.

use serde_json::json;

use super::{Answer, GATEWAY, Guarded, Method, id_of, make};
use crate::program::{Server, bos};

/// The secret part of a token.
fn secret_of(token: &str) -> &str {
    token.split('_').nth(2).unwrap()
}

#[tokio::test]
async fn the_database_files_contain_no_token() {
    let (guarded, [admin, ann]) = Guarded::with_tokens([
        &["--user", "root", "--scope", "admin"],
        &["--user", "ann", "--expires", "1h"],
    ]);
    let key = guarded.request(Method::POST, "/v1/tokens").bearer_auth(&admin).header("idempotency-key", "k");
    let request = key.header("content-type", "application/json").body(json!({"user_id": "bob"}).to_string());
    let made = Answer::of(request).await.json();
    let bob = made["token"].as_str().unwrap();
    assert_eq!(guarded.get("/v1/batch", bob).await.status, 200);

    let mut tables = 0;
    for file in std::fs::read_dir(guarded.server.data()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for token in [&admin, &ann, bob] {
            let secret = secret_of(token).as_bytes();
            let raw: Vec<u8> = (0..secret.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&secret_of(token)[at..at + 2], 16).unwrap())
                .collect();
            for part in [secret, raw.as_slice()] {
                assert!(!bytes.windows(part.len()).any(|window| window == part), "{}", path.display());
            }
            tables += usize::from(bytes.windows(16).any(|window| window == id_of(token).as_bytes()));
        }
    }
    assert!(tables >= 3, "the public parts are in the database");
}

#[tokio::test]
async fn no_log_error_or_metric_contains_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let ann = make(&folder, &["--user", "ann", "--scope", "read"]);
    let data = folder.path().join("data");
    let log = folder.path().join("log");
    let settings = ["auth=gateway", "log_level=debug", "log_format=json"];
    let variables = [("BATCH_ORCHESTRATOR_SERVICE_GATEWAY_TOKEN", GATEWAY)];
    let mut server = Server::launch(bos(&[]), &data, &settings, &variables, Some(&log));
    let http = reqwest::Client::new();
    let ask = async |method: Method, path: &str, token: &str| {
        let request = http.request(method, format!("{}{path}", server.address)).bearer_auth(token);
        Answer::of(request.header("x-user-id", "ann").body("{")).await
    };

    let unknown = format!("bos_{}_{}", id_of(&ann), "5ec2e7".repeat(10) + "abcd");
    let mut answers = Vec::new();
    for token in [ann.as_str(), GATEWAY, &unknown, "not-a-token-5ec2e7"] {
        answers.push(ask(Method::GET, "/v1/batch", token).await);
        answers.push(ask(Method::POST, "/v1/batch", token).await);
        answers.push(ask(Method::GET, &format!("/v1/batch/{token}"), token).await);
        answers.push(ask(Method::GET, "/v1/tokens", token).await);
    }
    answers.push(ask(Method::GET, "/metrics", &ann).await);
    assert!(
        answers.iter().any(|answer| answer.status == 401)
            && answers.iter().any(|answer| answer.status == 403)
    );
    let figures = &answers.last().unwrap().body;
    assert!(figures.contains("bos_callers_refused_total{reason=\"unknown\"}"), "{figures}");

    server.terminate();
    assert!(server.ended().success());
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("answered"), "the log is there: {log}");
    for secret in [secret_of(&ann), GATEWAY, "5ec2e7"] {
        assert!(!log.contains(secret), "{log}");
        for answer in &answers {
            // `instance` repeats the path, into which the caller put the token.
            let told = answer.json_without_instance();
            assert!(!told.contains(secret) && !format!("{:?}", answer.headers).contains(secret), "{told}");
        }
    }
}

impl Answer {
    fn json_without_instance(&self) -> String {
        match serde_json::from_str::<serde_json::Value>(&self.body) {
            Ok(mut value) => {
                if let Some(fields) = value.as_object_mut() {
                    fields.remove("instance");
                }
                value.to_string()
            }
            Err(_) => self.body.clone(),
        }
    }
}
