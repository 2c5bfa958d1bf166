//! Generated requests for every operation of the OpenAPI description: valid and invalid ones, from the schemas and from ids of
//! earlier answers. Each answer must be one that the description declares, none may be an internal error, and none may repeat
//! essay text or refused values.
//!
//! The same seed generates the same requests, and a failure prints the request and the seed. `BOS_TEST_SURFACE_SEED` selects
//! another seed.

mod bodies;
mod description;
mod dice;
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ::api::problem::Code;
use axum::http::{HeaderMap, StatusCode};
use bytesize::ByteSize;
use domain::CancelMode;
use engine::News;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use store::Store;
use tower::ServiceExt as _;

use self::description::{Description, Operation};
use self::dice::{Dice, TEXT, VALUE};
use self::requests::{Case, Known, POSITIONS};
use super::{Api, batch, operating};
use crate::PATIENCE;
use crate::databases::on_postgres;

/// The least number of seeds per run, and the number after which the test fails if it has not seen every answer.
const LEAST_SEEDS: u64 = 3;
const MOST_SEEDS: u64 = 8;

/// Requests per seed.
const TURNS: usize = 900;

/// Requests between two fresh batches, on which phases can be started.
const FRESH: usize = 12;

/// Operations without input that could be refused.
const NEVER_REFUSE: [&str; 3] = ["health", "metrics", "readiness"];

/// Operations that start phases which these servers do not serve.
const NEVER_ACCEPT: [&str; 2] = ["initiate_ai_feedback", "initiate_cj_assessment"];

/// Whether these tests cannot produce an answer: authentication is off (the matrix of callers tests it), and there are no slow
/// bodies, no concurrent requests and no failures of the store.
fn is_out_of_reach(operation: &str, status: u16) -> bool {
    let alone = [
        "trigger_spellcheck",
        "create_batch",
        "create_token",
        "revoke_token",
        "retry_outbox_message",
        "skip_outbox_message",
        "replay_dead_letter",
        "drop_dead_letter",
    ];
    matches!(status, 401 | 403 | 408 | 429 | 500 | 503)
        || (status == 409 && alone.contains(&operation))
        || (status == 202 && NEVER_ACCEPT.contains(&operation))
}

/// An answer with its body as bytes.
struct Heard {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// The statuses that each operation has answered with.
type Seen = BTreeMap<String, BTreeSet<u16>>;

async fn hear(api: &Api, case: &Case) -> Heard {
    let answer = async {
        let (parts, body) = api.router.clone().oneshot(case.request()).await.unwrap().into_parts();
        (parts, body.collect().await.map(|body| body.to_bytes().to_vec()))
    };
    let (parts, body) =
        tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| panic!("no answer to\n{case}"));
    let body = body.unwrap_or_else(|error| panic!("{error} within the answer to\n{case}"));
    Heard { status: parts.status, headers: parts.headers, body }
}

impl Heard {
    fn kind(&self) -> &str {
        let kind = self.headers.get("content-type").map_or("", |kind| kind.to_str().unwrap());
        kind.split(';').next().unwrap()
    }

    fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("the body is not JSON: {error}"))
    }

    fn says(&self, word: &str) -> bool {
        let said = self.headers.values().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let said: Vec<String> = said.chain([String::from_utf8_lossy(&self.body).into_owned()]).collect();
        said.iter().any(|said| said.contains(word))
    }

    /// Checks the answer against the description of the operation.
    fn fault(&self, description: &Description, operation: &Operation) -> Result<(), String> {
        let Some(kinds) = operation.answers.get(&self.status.as_u16()) else {
            return Err("the description has no such status for this operation".to_owned());
        };
        if self.status.is_server_error()
            && !(self.status == StatusCode::SERVICE_UNAVAILABLE && self.headers.contains_key("retry-after"))
        {
            return Err("an internal error".to_owned());
        }
        let first = |text: &'static str| text.split(' ').next().unwrap();
        if operation.id != "content" && self.says(first(TEXT)) {
            return Err("it repeats an essay".to_owned());
        }
        let is_refusal = self.status.is_client_error() || self.status.is_server_error();
        if is_refusal && self.says(first(VALUE)) {
            return Err("it repeats a value of the request".to_owned());
        }
        if kinds.is_empty() {
            return if self.body.is_empty() {
                Ok(())
            } else {
                Err("a body where none is described".to_owned())
            };
        }
        let Some(schema) = kinds.get(self.kind()) else {
            return Err(format!("{:?} where {:?} is described", self.kind(), kinds.keys()));
        };
        if self.kind() == "application/problem+json" {
            self.problem()?;
        } else if is_refusal && !operation.path.starts_with("/v1/content") {
            // The content routes have the error format of the platform's contract.
            return Err("a refusal that is not a problem document".to_owned());
        }
        let documents = match self.kind() {
            "application/x-ndjson" => {
                let lines = self.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                lines
                    .map(serde_json::from_slice)
                    .collect::<Result<Vec<Value>, _>>()
                    .map_err(|e| e.to_string())?
            }
            kind if kind.ends_with("json") => vec![self.json()?],
            _ => Vec::new(),
        };
        documents.iter().find_map(|document| description.fault("", schema, document)).map_or(Ok(()), Err)
    }

    /// Checks a problem document: a known code, with the status, title and type of that code.
    fn problem(&self) -> Result<(), String> {
        let problem = self.json()?;
        let code: Option<Code> = problem["code"].as_str().and_then(|code| code.parse().ok());
        let code = code.ok_or("an unknown code")?;
        let expected = json!({
            "status": self.status.as_u16(), "title": code.title(), "type": format!("/problems/{code}"),
            "correlation_id": self.headers["x-correlation-id"].to_str().unwrap(), "retryable": code.is_retryable(),
        });
        let differs = expected.as_object().unwrap().iter().find(|(name, value)| problem[*name] != **value);
        if let Some((name, value)) = differs {
            return Err(format!("`{name}` is not {value}"));
        }
        let is_told = code.status() == self.status && problem["instance"].is_string();
        if is_told { Ok(()) } else { Err("the status is not the code's, or it names no path".to_owned()) }
    }
}

async fn open(store: Option<Store>) -> Api {
    let change = |settings: &mut ::api::ApiSettings| {
        settings.bodies.max_size = ByteSize::b(bodies::CAP as u64);
        // No background task changes a batch here, so a long wait would only time out.
        settings.status_wait_limit = Duration::from_millis(2);
    };
    match store {
        None => Api::with(change).await,
        Some(store) => Api::of(store, tempfile::tempdir().unwrap(), change).await,
    }
}

async fn described(api: &Api) -> Description {
    Description::of(api.get("/openapi.json").await.json())
}

/// Sends generated requests, checks their answers, and records the statuses.
async fn walk(api: &Api, seed: u64, given: &mut Seen) {
    let description = described(api).await;
    let operations = description.operations();
    let mut dice = Dice::of(seed);
    let mut known = Known::default();
    for turn in 0..TURNS {
        if turn % FRESH == 0 {
            prepare(api, &mut dice, &mut known, &operations[0]).await;
            prepare_for_operators(api, turn, &mut known).await;
        }
        let operation = &operations[dice.below(operations.len())];
        let case = Case::draw(&mut dice, &description, operation, &mut known);
        let heard = hear(api, &case).await;
        if let Err(why) = heard.fault(&description, operation) {
            let body = String::from_utf8_lossy(&heard.body);
            panic!(
                "seed {seed}, turn {turn}, {}: {why}\n{case}\n-> {} {:?}\n{body}",
                operation.id, heard.status, heard.headers
            );
        }
        if let (true, Ok(document)) = (heard.status.is_success(), heard.json()) {
            known.learn(operation, &document);
        }
        given.entry(operation.id.clone()).or_default().insert(heard.status.as_u16());
    }
}

/// Creates a batch whose texts are stored; one in four is cancelled.
async fn prepare(api: &Api, dice: &mut Dice, known: &mut Known, operation: &Operation) {
    let accepted = api.post_json("/v1/batch", &batch(1 + dice.below(60))).await.json();
    known.learn(operation, &accepted);
    let id = accepted["batch_id"].as_str().unwrap();
    api.store_texts(id).await;
    if dice.once_in(4) {
        api.tell(id.parse().unwrap(), News::Cancel(CancelMode::Abandon)).await;
    }
}

/// A parked message and a dead letter.
async fn prepare_for_operators(api: &Api, turn: usize, known: &mut Known) {
    let store = api.engine.store();
    let [parked, dead_letter] = POSITIONS;
    known.keep(parked, &operating::park(store, turn.try_into().unwrap()).await);
    known.keep(dead_letter, &operating::set_aside(store, turn.try_into().unwrap()).await);
}

/// The operations that have not yet answered with every reachable status.
fn not_seen(description: &Description, seen: &Seen) -> Vec<String> {
    let mut missed = Vec::new();
    for operation in description.operations() {
        let id = operation.id.as_str();
        let given = seen.get(id).cloned().unwrap_or_default();
        let described = operation.answers.keys().copied();
        let reachable: BTreeSet<u16> = described.filter(|status| !is_out_of_reach(id, *status)).collect();
        let accepts = given.iter().any(|status| (200..300).contains(status));
        let refuses = given.iter().any(|status| (400..500).contains(status));
        if given != reachable
            || accepts == NEVER_ACCEPT.contains(&id)
            || refuses == NEVER_REFUSE.contains(&id)
        {
            missed.push(format!("{id} gave {given:?} of {reachable:?}"));
        }
    }
    missed
}

fn told_seed() -> Option<u64> {
    let told = std::env::var_os("BOS_TEST_SURFACE_SEED")?;
    Some(told.to_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn every_answer_is_declared_in_the_description() {
    let mut seen = Seen::new();
    if let Some(seed) = told_seed() {
        return walk(&open(None).await, seed, &mut seen).await;
    }
    let description = described(&open(None).await).await;
    let mut missed = Vec::new();
    for seed in 1..=MOST_SEEDS {
        walk(&open(None).await, seed, &mut seen).await;
        missed = not_seen(&description, &seen);
        if seed >= LEAST_SEEDS && missed.is_empty() {
            return;
        }
    }
    panic!("the generated requests did not produce every reachable answer: {missed:#?}");
}

#[tokio::test]
async fn every_answer_is_declared_in_the_description_on_postgresql() {
    on_postgres(async |store, _| {
        let api = open(Some(store)).await;
        walk(&api, told_seed().unwrap_or(1_000), &mut Seen::new()).await;
        assert_filters_are_refused(&api).await;
    })
    .await;
}

/// Asserts that filters which not every database accepts are refused.
async fn assert_filters_are_refused(api: &Api) {
    let far = "8210266876799999999.0197aa00-0000-7000-8000-000000000000";
    for (name, value) in [
        ("created_after", "-4713-01-01T00:00:00Z"),
        ("created_before", "-262143-01-01T00:00:00Z"),
        ("created_before", "%2B10000-01-01T00:00:00Z"),
        ("label", "class:%00"),
        ("label", "%00:9B"),
        ("cursor", &format!("-{far}")),
        ("cursor", far),
    ] {
        let answer = api.get(&format!("/v1/batch?{name}={value}")).await;
        let problem = answer.problem(400, "invalid_parameter");
        assert_eq!(problem["errors"][0]["parameter"], name, "{problem}");
    }
}

#[tokio::test]
async fn a_filter_that_not_every_database_accepts_is_refused_on_sqlite_too() {
    assert_filters_are_refused(&open(None).await).await;
}

#[tokio::test]
async fn paths_and_methods_outside_the_description_are_never_an_internal_error() {
    let api = open(None).await;
    let description = described(&api).await;
    let mut dice = Dice::of(5);
    let served = ["/openapi.json", "/docs", "/docs/{word}", "/problems", "/problems/{word}", "/v1/healthz"];
    let nowhere =
        ["/", "/v1", "/v1/", "/v1/batch/", "/v1/batch//status", "/v1/{word}", "/{word}", "/v2/batch"];
    let described: BTreeSet<String> = description.operations().into_iter().map(|known| known.path).collect();
    let patterns: Vec<&str> =
        served.into_iter().chain(nowhere).chain(described.iter().map(String::as_str)).collect();
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"];
    let words = ["%00", "%FF", "%zz", "..", "%2e%2e%2f", "index.html", "invalid", "x", "\u{7f}%C3%28"];
    let mut statuses = BTreeSet::new();
    for pattern in patterns {
        for method in methods {
            let word = dice.pick(&words).replace('\u{7f}', "%7F");
            let path: Vec<&str> = pattern
                .split('/')
                .map(|part| if part.starts_with('{') { word.as_str() } else { part })
                .collect();
            let case = Case::bare(method.parse().unwrap(), path.join("/"));
            let heard = hear(&api, &case).await;
            let status = heard.status.as_u16();
            statuses.insert(status);
            assert!(status < 500, "{case}-> {status}");
            let is_of_contract = pattern.starts_with("/v1/content") && heard.kind() == "application/json";
            if status < 400 || is_of_contract {
                continue;
            }
            if method == "HEAD" {
                assert!(
                    heard.body.is_empty() && heard.kind() == "application/problem+json",
                    "{case}-> {status}"
                );
            } else {
                heard.problem().unwrap_or_else(|why| panic!("{why}\n{case}-> {status}"));
            }
            assert!(status != 405 || heard.headers.contains_key("allow"), "{case}-> {status}");
        }
    }
    for status in [200, 404, 405] {
        assert!(statuses.contains(&status), "{statuses:?}");
    }
}
