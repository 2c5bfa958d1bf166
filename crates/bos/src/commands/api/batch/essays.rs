//! `bos batch essays`: lists the essays of a batch.

use clap::Args;
use serde_json::Value;

use super::BatchArg;
use crate::commands::output::Output;
use crate::commands::{Exit, pages};
use client::documents::{EssayDocument, Page};
use client::{Client, read};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos batch essays 0197c5e0-7d1f-7a3b-9c55-2f6f4a1b0c3d --state failed")]
pub(super) struct Essays {
    #[command(flatten)]
    of: BatchArg,
    /// Only essays in this state
    #[arg(long)]
    state: Option<String>,
}

impl Essays {
    pub(super) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<Exit> {
        let path = format!("v1/batch/{}/essays", self.of.batch);
        let filter: Vec<_> = self.state.as_deref().map(|state| ("state", state)).into_iter().collect();
        let read_page = async |rows, cursor: Option<String>| {
            Ok((pages::get::<Page<Value>>(client, &path, &filter, rows, cursor.as_deref()).await?, ()))
        };
        let (essays, ()) = pages::collect(usize::MAX, read_page).await?;
        // Parse all essays before printing, so that an unreadable one prints no half table.
        let _: Vec<EssayDocument> = read(Value::Array(essays.clone()))?;
        output.rows(&["essay", "name", "state", "last phase", "why"], &essays, cells)?;
        Ok(Exit::Ok)
    }
}

fn cells(essay: &Value) -> Vec<String> {
    let Ok(essay) = read::<EssayDocument>(essay.clone()) else { return Vec::new() };
    let last = essay.phases.last().map(|phase| format!("{} {}", phase.phase, phase.state));
    vec![
        essay.essay_id.to_string(),
        essay.client_ref.unwrap_or_default(),
        essay.state.to_string(),
        last.unwrap_or_default(),
        essay.error_code.unwrap_or_default(),
    ]
}
