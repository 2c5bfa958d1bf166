//! Every operation of the OpenAPI description, for its owner, for another caller, without a token, and without the scope.
//! An operation that is in the description but not in the matrix fails the test.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Answer, Guarded};
use crate::program::PATIENCE;

/// What another caller than the owner gets, with every scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stranger {
    /// 404, and nothing is changed.
    Nothing,
    /// An empty list.
    Empty,
    /// What every caller gets, or a new thing that the caller owns.
    Own,
    /// What the owner gets: knowing the id is enough, see decision 8.
    Bearer,
}

struct Row {
    operation: &'static str,
    body: Body,
    owner: u16,
    stranger: Stranger,
}

#[derive(Clone, Copy)]
enum Body {
    None,
    Text,
    Essays,
    Phases,
    Token,
}

const fn row(operation: &'static str, body: Body, owner: u16, stranger: Stranger) -> Row {
    Row { operation, body, owner, stranger }
}

const MATRIX: [Row; 30] = [
    row("trigger_spellcheck", Body::Text, 202, Stranger::Own),
    row("essay", Body::None, 200, Stranger::Nothing),
    row("create_batch", Body::Essays, 202, Stranger::Own),
    row("list_batches", Body::None, 200, Stranger::Empty),
    row("batch", Body::None, 200, Stranger::Nothing),
    row("batch_status", Body::None, 200, Stranger::Nothing),
    row("batch_essays", Body::None, 200, Stranger::Nothing),
    row("batch_results", Body::None, 200, Stranger::Nothing),
    row("initiate_spellcheck", Body::None, 202, Stranger::Nothing),
    row("initiate_nlp", Body::None, 202, Stranger::Nothing),
    // Only the owner learns that no companion serves these two phases.
    row("initiate_ai_feedback", Body::None, 409, Stranger::Nothing),
    row("initiate_cj_assessment", Body::None, 409, Stranger::Nothing),
    row("run_pipeline", Body::Phases, 202, Stranger::Nothing),
    row("store_content", Body::Text, 201, Stranger::Own),
    row("content", Body::None, 200, Stranger::Bearer),
    row("erase_content", Body::None, 204, Stranger::Bearer),
    row("limits", Body::None, 200, Stranger::Own),
    row("create_token", Body::Token, 201, Stranger::Own),
    row("list_tokens", Body::None, 200, Stranger::Own),
    row("revoke_token", Body::None, 204, Stranger::Own),
    row("list_outbox", Body::None, 200, Stranger::Own),
    row("list_dead_letters", Body::None, 200, Stranger::Own),
    // No message is parked or dead-lettered here, which every administrator is told.
    row("retry_outbox_message", Body::None, 404, Stranger::Own),
    row("skip_outbox_message", Body::None, 404, Stranger::Own),
    row("dead_letter", Body::None, 404, Stranger::Own),
    row("replay_dead_letter", Body::None, 404, Stranger::Own),
    row("drop_dead_letter", Body::None, 404, Stranger::Own),
    row("health", Body::None, 200, Stranger::Own),
    row("readiness", Body::None, 200, Stranger::Own),
    row("metrics", Body::None, 200, Stranger::Own),
];

impl Body {
    fn content(self) -> Option<(&'static str, String)> {
        let json = |body: &Value| Some(("application/json", body.to_string()));
        match self {
            Self::None => None,
            Self::Text => Some(("text/plain", "Text".to_owned())),
            Self::Essays => json(&json!({"essays": [{"text": "Text"}]})),
            Self::Phases => json(&json!({"phases": ["spellcheck"]})),
            Self::Token => json(&json!({"user_id": "cid"})),
        }
    }
}

/// Things of the owner, created anew for each operation.
struct Things {
    batch: String,
    essay: String,
    text: String,
    token: String,
}

impl Things {
    async fn of(guarded: &Guarded, owner: &str) -> Self {
        let batch = guarded.post("/v1/batch", owner, &json!({"essays": [{"text": "Text"}]})).await.json();
        let text = guarded.request(Method::POST, "/v1/content").bearer_auth(owner).body("Text");
        let token = guarded.post("/v1/tokens", owner, &json!({"user_id": "cid"})).await.json();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let things = Self {
            batch: word(&batch["batch_id"]),
            essay: word(&batch["essays"][0]["essay_id"]),
            text: word(&Answer::of(text).await.json()["storage_id"]),
            token: word(&token["token_id"]),
        };
        let mut last = Value::Null;
        let ready = async {
            while last["status"] != "ready" {
                last = things.status(guarded, owner, "?wait=1s").await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, ready).await;
        assert!(reached.is_ok(), "the batch is not ready: {last}");
        things
    }

    async fn status(&self, guarded: &Guarded, owner: &str, query: &str) -> Value {
        guarded.get(&format!("/v1/batch/{}/status{query}", self.batch), owner).await.json()
    }

    fn path(&self, pattern: &str) -> String {
        let path = pattern
            .replace("{batch_id}", &self.batch)
            .replace("{essay_id}", &self.essay)
            .replace("{storage_id}", &self.text)
            .replace("{token_id}", &self.token)
            .replace("{shard}/{row}", "3/1")
            .replace("{topic}/{partition}/{offset}", "huleedu.els.batch.phase.outcome.v1/0/1");
        assert!(!path.contains('{'), "{pattern} has a parameter that the matrix does not know");
        path
    }
}

/// An operation of the OpenAPI description.
struct Operation {
    id: String,
    method: Method,
    path: String,
    /// The scope that the description requires; `None` if the operation is open.
    scope: Option<String>,
}

fn operations(description: &Value) -> Vec<Operation> {
    let paths = description["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &Value)| {
        let of_method = |(method, operation): (&String, &Value)| Operation {
            id: operation["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase().parse().unwrap(),
            path: path.clone(),
            scope: operation["security"].as_array().unwrap().first().map(|need| {
                let [scope] = need["token"].as_array().unwrap().as_slice() else { panic!("{need}") };
                scope.as_str().unwrap().to_owned()
            }),
        };
        methods.as_object().unwrap().iter().map(of_method).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[tokio::test]
async fn every_operation_answers_its_owner_only() {
    let all = "read,write,admin";
    let (guarded, [ann, bob, reader, writer, admin]) = Guarded::with_tokens([
        &["--user", "ann", "--scope", all],
        &["--user", "bob", "--org", "school", "--scope", all],
        &["--user", "ann", "--scope", "read"],
        &["--user", "ann", "--scope", "write"],
        &["--user", "ann", "--scope", "admin"],
    ]);
    let narrow = [("read", &reader), ("write", &writer), ("admin", &admin)];
    let operations = operations(&guarded.get("/openapi.json", &ann).await.json());
    let described: BTreeSet<&str> = operations.iter().map(|operation| operation.id.as_str()).collect();
    let listed: BTreeSet<&str> = MATRIX.iter().map(|row| row.operation).collect();
    assert_eq!(described, listed, "the operations of the description and of the matrix");

    for Operation { id, method, path, scope } in &operations {
        let Row { body, owner, stranger, .. } = MATRIX.iter().find(|row| row.operation == id).unwrap();
        let things = Things::of(&guarded, &ann).await;
        let ask = async |token: Option<&String>| {
            let request = guarded.request(method.clone(), &things.path(path));
            let request = match body.content() {
                Some((kind, body)) => request.header("content-type", kind).body(body),
                None => request,
            };
            Answer::of(token.into_iter().fold(request, RequestBuilder::bearer_auth)).await
        };
        let Some(scope) = scope else {
            assert_eq!(ask(None).await.status, *owner, "{id} is open");
            continue;
        };
        let before = things.status(&guarded, &ann, "").await;

        ask(None).await.refuses(401, "unauthenticated");
        for (has, token) in narrow {
            if has != scope {
                ask(Some(token)).await.refuses(403, "insufficient_scope");
            }
        }
        let other = ask(Some(&bob)).await;
        match stranger {
            Stranger::Nothing => {
                assert_eq!(other.status, 404, "{id} for another caller: {}", other.body);
                assert!(
                    ["unknown_batch", "not_found"].iter().any(|code| other.json()["code"] == *code),
                    "{id}"
                );
            }
            Stranger::Empty => assert_eq!(other.json()["data"], json!([]), "{id} for another caller"),
            Stranger::Own | Stranger::Bearer => assert_eq!(other.status, *owner, "{id}: {}", other.body),
        }
        assert_eq!(
            things.status(&guarded, &ann, "").await,
            before,
            "{id} for other callers has changed nothing"
        );

        // What another caller deleted by its id no longer exists for its owner.
        let is_gone = *stranger == Stranger::Bearer && *method == Method::DELETE;
        let things_left = if is_gone { 404 } else { *owner };
        let holder = narrow.iter().find(|(has, _)| has == scope).unwrap().1;
        let mine = ask(Some(holder)).await;
        assert_eq!(mine.status, things_left, "{id} for its owner with {scope} only: {}", mine.body);
    }
}
