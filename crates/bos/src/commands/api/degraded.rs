//! What a batch may be waiting for beside its own phases: a neighbour of the server that is away.

use serde::Deserialize;

use crate::commands::output::Output;
use client::{Client, read};

#[derive(Deserialize)]
struct Readiness {
    #[serde(default)]
    degraded: Vec<Degraded>,
}

#[derive(Deserialize)]
struct Degraded {
    name: String,
    code: String,
    #[serde(default)]
    since: Option<String>,
}

/// Says which neighbours the server cannot use just now. Nothing where it can use all, or cannot be asked: whoever calls has
/// had an answer to what was asked for already.
pub(crate) async fn tell(client: &Client, output: &Output) {
    let Ok(document) = client.get("readyz", &[]).await else { return };
    let Ok(readiness) = read::<Readiness>(document) else { return };
    for Degraded { name, code, since } in readiness.degraded {
        let who = match name.as_str() {
            "bus" => "the event bus",
            "content" => "the Content Service",
            other => other,
        };
        let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
        output.note(&format!(
            "{who} cannot be used{since} ({code}); what was accepted is safe and goes on when it is back"
        ));
    }
}
