//! `bos outbox pending`.

use std::num::NonZeroUsize;

use api::admin::outbox;
use clap::Args;
use client::documents::OutboxList;

use crate::commands::database::backend::Backend;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global, pages};

/// List pending and parked messages, oldest first.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos outbox pending --limit 10\n\n\
    A parked message blocks the later messages of its key: retry it or skip it.")]
pub(super) struct PendingCommand {
    /// Maximum number of messages
    #[arg(long, value_name = "N", default_value = "50")]
    limit: NonZeroUsize,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl PendingCommand {
    pub(super) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let limit = self.limit.get();
        let (messages, depth) = match Backend::choose(global, self.settings).await? {
            Backend::Server(client) => {
                let read_page = async |rows, cursor: Option<String>| {
                    let list: OutboxList =
                        pages::get(&client, "v1/outbox", &[], rows, cursor.as_deref()).await?;
                    Ok((list.page, list.depth))
                };
                pages::collect(limit, read_page).await?
            }
            Backend::Database(database) => {
                let store = database.open().await?;
                let read_page = async |rows, cursor: Option<String>| {
                    let after = cursor.map(|cursor| cursor.parse()).transpose()?;
                    let list = outbox::list(&store, after, rows).await?;
                    Ok((list.page, list.depth))
                };
                let list = pages::collect(limit, read_page).await;
                store.close().await;
                list?
            }
        };
        output.rows(
            &["id", "state", "topic", "key", "seq", "age s", "attempts", "code"],
            &messages,
            |row| {
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
            },
        )?;
        output.say(&format!("{} pending, {} parked", depth.pending, depth.parked))?;
        Ok(Exit::Ok)
    }
}
