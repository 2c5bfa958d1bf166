//! `bos dead-letter list`.

use std::num::NonZeroUsize;

use api::admin::dead_letters;
use clap::Args;
use client::documents::DeadLetterList;

use crate::commands::database::backend::Backend;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global, pages};

/// List dead letters, latest first.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos dead-letter list --limit 10 -o jsonl")]
pub(super) struct ListCommand {
    /// Maximum number of dead letters
    #[arg(long, value_name = "N", default_value = "50")]
    limit: NonZeroUsize,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl ListCommand {
    pub(super) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let limit = self.limit.get();
        let (letters, depth) = match Backend::choose(global, self.settings).await? {
            Backend::Server(client) => {
                let read_page = async |rows, cursor: Option<String>| {
                    let list: DeadLetterList =
                        pages::get(&client, "v1/dead-letters", &[], rows, cursor.as_deref()).await?;
                    Ok((list.page, list.depth))
                };
                pages::collect(limit, read_page).await?
            }
            Backend::Database(database) => {
                let store = database.open().await?;
                let read_page = async |rows, cursor: Option<String>| {
                    let after = cursor.map(|cursor| cursor.parse()).transpose()?;
                    let list = dead_letters::list(&store, after, rows).await?;
                    Ok((list.page, list.depth))
                };
                let list = pages::collect(limit, read_page).await;
                store.close().await;
                list?
            }
        };
        output.rows(&["id", "code", "set aside"], &letters, |row| {
            vec![row.id.clone(), row.error_code.clone(), row.set_aside_at.to_rfc3339()]
        })?;
        output.say(&format!("{} of {} dead letters", letters.len(), depth.rows))?;
        Ok(Exit::Ok)
    }
}
