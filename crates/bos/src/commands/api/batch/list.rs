//! `bos batch list`: lists batches.

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use crate::commands::Exit;
use crate::commands::output::Output;
use client::documents::{ListedBatch, Page};
use client::{Client, read};

/// Batches in one page of the API.
const PAGE: usize = 50;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos batch list --status processing --label class=9B")]
pub(super) struct List {
    /// Only batches with this status; can be repeated
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// Only batches with this label, KEY=VALUE; can be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// List single essays instead of classes
    #[arg(long)]
    single: bool,
    /// List the oldest first
    #[arg(long)]
    oldest: bool,
    /// Maximum number of batches
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
}

impl List {
    pub(super) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<Exit> {
        let batches = self.fetch(client).await?;
        let read = |batch: &Value| read::<ListedBatch>(batch.clone());
        batches.first().map(read).transpose().context("cannot list the batches")?;
        output.rows(
            &["batch", "name", "status", "essays", "done", "failed", "attention", "created"],
            &batches,
            |batch| {
                let Ok(batch) = read(batch) else { return Vec::new() };
                vec![
                    batch.batch_id.to_string(),
                    batch.name.unwrap_or_default(),
                    batch.status,
                    batch.essays.total.to_string(),
                    batch.essays.succeeded.to_string(),
                    batch.essays.failed.to_string(),
                    if batch.needs_attention { "yes".to_owned() } else { String::new() },
                    batch.created_at,
                ]
            },
        )?;
        if batches.is_empty() {
            output.note("No batches. Next: bos batch submit FOLDER --wait");
        }
        Ok(Exit::Ok)
    }

    /// Fetches page after page, until there are `limit` batches or no more.
    async fn fetch(&self, client: &Client) -> anyhow::Result<Vec<Value>> {
        let mut batches: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let wanted = self.limit.saturating_sub(batches.len()).min(PAGE);
            if wanted == 0 {
                return Ok(batches);
            }
            let limit = wanted.to_string();
            let mut query: Vec<(&str, &str)> = vec![("limit", &limit)];
            query.push(("sort", if self.oldest { "created_at" } else { "-created_at" }));
            query.extend(self.single.then_some(("kind", "single")));
            query.extend(self.status.iter().map(|status| ("status", status.as_str())));
            let labels: Vec<String> = self.label.iter().map(|label| label.replacen('=', ":", 1)).collect();
            query.extend(labels.iter().map(|label| ("label", label.as_str())));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Page = read(client.get("v1/batch", &query).await?)?;
            batches.extend(page.data);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(batches);
            }
        }
    }
}
