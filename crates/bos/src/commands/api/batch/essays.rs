//! `bos batch essays`: lists the essays of a batch.

use clap::Args;
use serde_json::Value;

use super::BatchArg;
use crate::commands::Exit;
use crate::commands::output::Output;
use client::documents::{Essay, Page};
use client::{Client, read};

/// Essays in one page of the API.
const PAGE: &str = "200";

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
        let mut essays: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = vec![("limit", PAGE)];
            query.extend(self.state.as_deref().map(|state| ("state", state)));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Page = read(client.get(&path, &query).await?)?;
            essays.extend(page.data);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        // Parse all essays before printing, so that an unreadable one prints no half table.
        let _: Vec<Essay> = read(Value::Array(essays.clone()))?;
        output.rows(&["essay", "name", "state", "last phase", "why"], &essays, cells)?;
        Ok(Exit::Ok)
    }
}

fn cells(essay: &Value) -> Vec<String> {
    let Ok(essay) = read::<Essay>(essay.clone()) else { return Vec::new() };
    let last = essay.phases.last().map(|phase| format!("{} {}", phase.phase, phase.state));
    vec![
        essay.essay_id.to_string(),
        essay.client_ref.unwrap_or_default(),
        essay.state,
        last.unwrap_or_default(),
        essay.error_code.unwrap_or_default(),
    ]
}
