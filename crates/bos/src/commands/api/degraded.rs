//! Reports dependencies of the server that are unavailable, because a batch may be waiting for them.

use chrono::SecondsFormat;

use crate::commands::output::Output;
use client::documents::{Degraded, Readiness};
use client::{Client, read};

/// Prints a note for each dependency that the server cannot use now. Prints nothing if `/readyz` cannot be read, because the
/// command already has its result.
pub(crate) async fn tell(client: &Client, output: &Output) {
    let Ok(document) = client.get("readyz", &[]).await else { return };
    let Ok(readiness) = read::<Readiness>(document) else { return };
    for Degraded { name, code, since } in readiness.degraded {
        let what = match name.as_ref() {
            "bus" => "the event bus",
            "content" => "the Content Service",
            other => other,
        };
        let since =
            since.map(|since| format!(" since {}", since.to_rfc3339_opts(SecondsFormat::AutoSi, true)));
        let since = since.unwrap_or_default();
        output.note(&format!(
            "{what} is unavailable{since} ({code}); accepted work is stored, and continues when it is back"
        ));
    }
}
