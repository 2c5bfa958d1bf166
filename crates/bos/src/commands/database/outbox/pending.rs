//! `bos outbox pending`.

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use store::{OutboxDepth, WaitingRow};
use uuid::Uuid;

use super::place::Place;
use crate::commands::Exit;
use crate::commands::database::installation;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;

/// List the messages that wait, oldest first, and those that are parked.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos outbox pending --limit 10\n\n\
    A parked message holds back those of its key: see `bos outbox retry` and `bos outbox skip`.")]
pub(super) struct PendingCommand {
    /// Messages to list
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Serialize)]
struct Row {
    id: String,
    state: &'static str,
    topic: String,
    key: String,
    key_seq: i64,
    event_id: Uuid,
    size_bytes: i64,
    age_seconds: i64,
    attempts: u32,
    not_before: DateTime<Utc>,
    error_code: Option<String>,
}

impl Row {
    fn of(row: WaitingRow, now: DateTime<Utc>) -> Self {
        Self {
            id: Place::of(&row).to_string(),
            state: if row.parked { "parked" } else { "pending" },
            topic: row.topic,
            key: row.ordering_key,
            key_seq: row.key_seq,
            event_id: row.event_id,
            size_bytes: row.size_bytes,
            age_seconds: (now - row.created_at).num_seconds(),
            attempts: row.attempts,
            not_before: row.not_before,
            error_code: row.error_code,
        }
    }
}

impl PendingCommand {
    pub(super) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let store = installation::open(&self.settings.load_for_upkeep()?.config).await?;
        let limit = self.limit;
        let read = store.read(move |tx| {
            Box::pin(async move {
                let rows = tx.outbox_rows(limit).await?;
                let now = tx.now();
                let rows: Vec<Row> = rows.into_iter().map(|row| Row::of(row, now)).collect();
                Ok((rows, tx.outbox_depth().await?))
            })
        });
        let (rows, depth): (Vec<Row>, OutboxDepth) = read.await.map_err(|error: store::Error| error)?;
        store.close().await;
        output.rows(&["id", "state", "topic", "key", "seq", "age s", "attempts", "code"], &rows, |row| {
            vec![
                row.id.clone(),
                row.state.to_owned(),
                row.topic.clone(),
                row.key.clone(),
                row.key_seq.to_string(),
                row.age_seconds.to_string(),
                row.attempts.to_string(),
                row.error_code.clone().unwrap_or_default(),
            ]
        })?;
        output.say(&format!("{} pending, {} parked", depth.pending, depth.parked))?;
        Ok(Exit::Ok)
    }
}
