//! A batch is one trace, as a collector behind a real socket receives it.

pub(crate) mod collector;
mod embedded;
mod unreachable;

use reqwest::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use serde_json::Value;
use tokio::time::timeout;

use crate::program::{PATIENCE, Server};

/// The trace id and the span id of a caller.
pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const CALLER: &str = "00f067aa0ba902b7";

/// Hands a batch in; the answer.
pub(crate) async fn hand_in(server: &Server, batch: &Value, headers: &[(&str, &str)]) -> Value {
    let mut request = reqwest::Client::new().post(format!("{}/v1/batch", server.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer =
        request.header(CONTENT_TYPE, "application/json").body(batch.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// Waits until the batch has come to its end; its status then.
pub(crate) async fn ended(server: &Server, batch: &str) -> Value {
    let http = reqwest::Client::new();
    let url = format!("{}/v1/batch/{batch}/status?wait=5s", server.address);
    let wait = async {
        let mut seen = HeaderValue::from_static("\"none\"");
        loop {
            let change = http.get(&url).header(IF_NONE_MATCH, seen).send().await.unwrap();
            seen = change.headers()[ETAG].clone();
            let body = change.bytes().await.unwrap();
            let status: Value = serde_json::from_slice(&body).unwrap_or_default();
            if !status["ended_at"].is_null() {
                return status;
            }
        }
    };
    timeout(PATIENCE, wait).await.expect("the batch ends")
}
