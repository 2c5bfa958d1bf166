//! A batch is one trace, as a collector behind a real socket receives it.

pub(crate) mod collector;
mod embedded;
mod unreachable;

use serde_json::Value;

use crate::host::Client;

/// The trace id and the span id of a caller.
pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const CALLER: &str = "00f067aa0ba902b7";

/// Submits a batch with these headers; the answer.
pub(crate) async fn hand_in(client: &Client, batch: &Value, headers: &[(&str, &str)]) -> Value {
    let answer = client.submit_with(headers, batch).await;
    assert_eq!(answer.status, 202);
    answer.body
}
