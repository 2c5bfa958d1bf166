//! `bos dead-letter list`.

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use store::{DeadLetter, QueueDepth};
use uuid::Uuid;

use crate::commands::Exit;
use crate::commands::database::installation;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;

/// List the messages that could not be used, latest first.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos dead-letter list --limit 10 -o jsonl")]
pub(super) struct ListCommand {
    /// Dead letters to list
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Serialize)]
struct Row {
    id: String,
    error_code: String,
    set_aside_at: DateTime<Utc>,
    event_id: Option<Uuid>,
    batch_id: Option<Uuid>,
    /// It is dealt with again by itself once the batch is past this revision.
    after_revision: Option<i64>,
}

impl From<DeadLetter> for Row {
    fn from(letter: DeadLetter) -> Self {
        Self {
            id: format!("{}/{}/{}", letter.topic, letter.partition, letter.offset),
            error_code: letter.error_code,
            set_aside_at: letter.at,
            event_id: letter.event_id,
            batch_id: letter.batch_id.map(domain::BatchId::as_uuid),
            after_revision: letter.after_revision,
        }
    }
}

impl ListCommand {
    pub(super) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let store = installation::open(&self.settings.load_for_upkeep()?.config).await?;
        let limit = self.limit;
        let read = store.read(move |tx| {
            Box::pin(async move { Ok((tx.dead_letters(limit).await?, tx.dead_letter_depth().await?)) })
        });
        let read: Result<(Vec<DeadLetter>, QueueDepth), store::Error> = read.await;
        let (letters, all) = read?;
        store.close().await;
        let rows: Vec<Row> = letters.into_iter().map(Row::from).collect();
        output.rows(&["id", "code", "set aside"], &rows, |row| {
            vec![row.id.clone(), row.error_code.clone(), row.set_aside_at.to_rfc3339()]
        })?;
        output.say(&format!("{} of {} dead letters", rows.len(), all.rows))?;
        Ok(Exit::Ok)
    }
}
