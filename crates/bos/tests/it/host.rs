//! Failures of the host and ends of the process: acknowledged work is there afterwards, and the service continues.

mod connections;
mod disk;
mod folder;
mod overload;
mod stopping;
pub(crate) mod vanishing;

use futures::StreamExt as _;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, RETRY_AFTER};
use serde_json::Value;
use tokio::time::timeout;

use crate::program::{PATIENCE, Server, plain_batch};

/// An answer of a server.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) asks_to_wait: bool,
    pub(crate) is_replayed: bool,
    pub(crate) body: Value,
}

/// A client of one server, without connections kept from one request to the next.
pub(crate) struct Client {
    http: reqwest::Client,
    address: String,
}

impl Client {
    pub(crate) fn of(server: &Server) -> Self {
        Self::at(&server.address)
    }

    pub(crate) fn at(address: &str) -> Self {
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { http, address: address.to_owned() }
    }

    pub(crate) async fn submit(&self, batch: &Value) -> Answer {
        answer(self.submission(batch).send().await.unwrap()).await
    }

    /// Under an Idempotency-Key.
    pub(crate) async fn submit_under(&self, key: &str, batch: &Value) -> Answer {
        answer(self.submission(batch).header("idempotency-key", key).send().await.unwrap()).await
    }

    fn submission(&self, batch: &Value) -> reqwest::RequestBuilder {
        let request = self.http.post(format!("{}/v1/batch", self.address));
        request.header(CONTENT_TYPE, "application/json").body(batch.to_string())
    }

    /// Submits a small batch, which must be acknowledged; its id.
    pub(crate) async fn accepted(&self, name: &str) -> String {
        let answer = self.submit(&plain_batch(name, 2)).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        id_of(&answer.body)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.http.get(format!("{}{path}", self.address)).send().await.unwrap()).await
    }

    /// Asks until readiness names this trouble of a neighbour, or none. A connection that a busy machine loses is made again.
    pub(crate) async fn until_degraded_by(&self, code: Option<&str>) {
        let named = async {
            loop {
                let asked = self.http.get(format!("{}/readyz", self.address)).send().await;
                if let Ok(response) = asked
                    && answer(response).await.body["degraded"][0]["code"].as_str() == code
                {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let named = timeout(PATIENCE, named).await;
        assert!(named.is_ok(), "/readyz never shows {code:?}");
    }

    /// Asserts that all of these batches exist.
    pub(crate) async fn shows(&self, batches: &[String]) {
        let seen = futures::stream::iter(batches)
            .map(async |batch| (batch, self.get(&format!("/v1/batch/{batch}")).await))
            .buffer_unordered(16);
        seen.for_each(async |(batch, answer)| {
            assert_eq!(answer.status, 200, "{batch} was acknowledged: {}", answer.body);
        })
        .await;
    }

    /// Waits until the work on a batch has come so far.
    pub(crate) async fn until(&self, batch: &str, status: &str) {
        let mut last = Value::Null;
        let reached = async {
            let url = format!("{}/v1/batch/{batch}/status?wait=5s", self.address);
            // No revision has this tag, so the first answer comes immediately and the others after a change.
            let mut seen = HeaderValue::from_static("\"none\"");
            while last["status"] != status {
                let change = self.http.get(&url).header(IF_NONE_MATCH, seen).send().await.unwrap();
                seen = change.headers()[ETAG].clone();
                if change.status() == StatusCode::OK {
                    last = serde_json::from_slice(&change.bytes().await.unwrap()).unwrap();
                }
            }
        };
        let reached = timeout(PATIENCE, reached).await;
        assert!(reached.is_ok(), "{batch} stays at {last}");
    }
}

async fn answer(response: reqwest::Response) -> Answer {
    Answer {
        status: response.status().as_u16(),
        is_replayed: response.headers().contains_key("idempotency-replayed"),
        asks_to_wait: response.headers().contains_key(RETRY_AFTER),
        body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default(),
    }
}

pub(crate) fn id_of(accepted: &Value) -> String {
    accepted["batch_id"].as_str().unwrap().to_owned()
}
