//! `bos outbox pending`.

use api::admin::outbox::{self, OutboxList};
use clap::Args;
use client::read;

use crate::commands::database::backend::Backend;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};

/// List pending and parked messages, oldest first.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos outbox pending --limit 10\n\n\
    A parked message blocks the later messages of its key: retry it or skip it.")]
pub(super) struct PendingCommand {
    /// Messages to list; a server lists at most 500
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl PendingCommand {
    pub(super) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let OutboxList { data, depth } = match Backend::choose(global, self.settings).await? {
            Backend::Server(client) => {
                read(client.get("v1/outbox", &[("limit", &self.limit.to_string())]).await?)?
            }
            Backend::Database(database) => {
                let store = database.open().await?;
                let list = outbox::list(&store, self.limit).await;
                store.close().await;
                list?
            }
        };
        output.rows(&["id", "state", "topic", "key", "seq", "age s", "attempts", "code"], &data, |row| {
            vec![
                row.id.clone(),
                row.state.as_str().to_owned(),
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
