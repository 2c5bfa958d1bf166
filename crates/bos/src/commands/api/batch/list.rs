//! `bos batch list`: lists batches.

use std::num::NonZeroUsize;

use anyhow::Context as _;
use chrono::SecondsFormat;
use clap::Args;
use serde_json::Value;

use crate::commands::output::Output;
use crate::commands::{Exit, pages};
use client::documents::{BatchSummary, Page};
use client::{Client, read};

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
    #[arg(long, value_name = "NUMBER", default_value = "50")]
    limit: NonZeroUsize,
}

impl List {
    pub(super) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<Exit> {
        let batches = self.fetch(client).await?;
        let read = |batch: &Value| read::<BatchSummary>(batch.clone());
        batches.first().map(read).transpose().context("cannot list the batches")?;
        output.rows(
            &["batch", "name", "status", "essays", "done", "failed", "attention", "created"],
            &batches,
            |batch| {
                let Ok(batch) = read(batch) else { return Vec::new() };
                vec![
                    batch.batch_id.to_string(),
                    batch.name.unwrap_or_default(),
                    batch.status.to_string(),
                    batch.essays.total.to_string(),
                    batch.essays.succeeded.to_string(),
                    batch.essays.failed.to_string(),
                    if batch.needs_attention { "yes".to_owned() } else { String::new() },
                    batch.created_at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
                ]
            },
        )?;
        if batches.is_empty() {
            output.note("No batches. Next: bos batch submit FOLDER --wait");
        }
        Ok(Exit::Ok)
    }

    async fn fetch(&self, client: &Client) -> anyhow::Result<Vec<Value>> {
        let mut filter = vec![("sort", if self.oldest { "created_at" } else { "-created_at" })];
        filter.extend(self.single.then_some(("kind", "single")));
        filter.extend(self.status.iter().map(|status| ("status", status.as_str())));
        let labels: Vec<String> = self.label.iter().map(|label| label.replacen('=', ":", 1)).collect();
        filter.extend(labels.iter().map(|label| ("label", label.as_str())));
        let read_page = async |rows, cursor: Option<String>| {
            Ok((pages::get::<Page<Value>>(client, "v1/batch", &filter, rows, cursor.as_deref()).await?, ()))
        };
        let (batches, ()) = pages::collect(self.limit.get(), read_page).await?;
        Ok(batches)
    }
}
