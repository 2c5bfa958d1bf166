//! `bos batch status`: shows the status of a batch.

use clap::Args;
use serde_json::Value;

use super::BatchArg;
use crate::commands::Exit;
use crate::commands::api::degraded;
use crate::commands::output::{Format, Output};
use client::clean;
use client::documents::{PhaseDocument, StatusDocument};
use client::{Client, read};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos batch status 0197c5e0-7d1f-7a3b-9c55-2f6f4a1b0c3d -o json")]
pub(super) struct Status {
    #[command(flatten)]
    of: BatchArg,
}

impl Status {
    pub(super) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<Exit> {
        let document = client.get(&format!("v1/batch/{}/status", self.of.batch), &[]).await?;
        let is_running = document.get("ended_at").is_none_or(Value::is_null);
        print(document, output)?;
        if is_running {
            degraded::tell(client, output).await;
        }
        Ok(Exit::Ok)
    }
}

/// Prints a status document: a sentence and a line for each phase, or the document as JSON.
///
/// # Errors
/// When the document cannot be parsed, or standard output is closed.
pub(super) fn print(document: Value, output: &Output) -> anyhow::Result<()> {
    if output.format() != Format::Table {
        return output.one(&document, |_| String::new());
    }
    let status: StatusDocument = read(document)?;
    output.say(&format!("{}: {}", status.status, clean(&status.sentence)))?;
    if status.phases.is_empty() {
        return Ok(());
    }
    Output::table(
        &["phase", "status", "attempt", "essays", "done", "failed", "waits for"],
        &status.phases,
        cells,
    )
}

fn cells(phase: &PhaseDocument) -> Vec<String> {
    let counts = &phase.essay_counts;
    vec![
        phase.phase.to_string(),
        phase.status.to_string(),
        phase.attempt.to_string(),
        counts.total.to_string(),
        counts.successful.to_string(),
        counts.failed.to_string(),
        phase.waiting_on.as_ref().map(ToString::to_string).unwrap_or_default(),
    ]
}
