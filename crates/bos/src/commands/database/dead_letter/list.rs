//! `bos dead-letter list`.

use api::admin::dead_letters::{self, DeadLetterList};
use clap::Args;
use client::read;

use crate::commands::database::backend::Backend;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};

/// List dead letters, latest first.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos dead-letter list --limit 10 -o jsonl")]
pub(super) struct ListCommand {
    /// Dead letters to list; a server lists at most 500
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl ListCommand {
    pub(super) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let DeadLetterList { data, depth } = match Backend::choose(global, self.settings).await? {
            Backend::Server(client) => {
                read(client.get("v1/dead-letters", &[("limit", &self.limit.to_string())]).await?)?
            }
            Backend::Database(database) => {
                let store = database.open().await?;
                let list = dead_letters::list(&store, self.limit).await;
                store.close().await;
                list?
            }
        };
        output.rows(&["id", "code", "set aside"], &data, |row| {
            vec![row.id.clone(), row.error_code.clone(), row.set_aside_at.to_rfc3339()]
        })?;
        output.say(&format!("{} of {} dead letters", data.len(), depth.rows))?;
        Ok(Exit::Ok)
    }
}
