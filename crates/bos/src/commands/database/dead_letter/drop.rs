//! `bos dead-letter drop`.

use api::admin::dead_letters;
use clap::Args;
use client::documents::MessagePosition;

use super::position;
use crate::commands::database::backend::{Backend, ItemOutcome, found, print_outcomes};
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};

/// Drop dead letters. Their messages stay on the bus and are not processed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos dead-letter drop huleedu.els.batch.phase.outcome.v1/3/4711")]
pub(super) struct DropCommand {
    /// Dead letters as `bos dead-letter list` prints them
    #[arg(required = true, value_name = "ID", value_parser = position::parse)]
    letters: Vec<MessagePosition>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl DropCommand {
    pub(super) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let mut rows = Vec::with_capacity(self.letters.len());
        let mut push = |letter: &MessagePosition, was_there| {
            let outcome = if was_there { "dropped" } else { "not_found" };
            rows.push(ItemOutcome { id: letter.to_string(), outcome: outcome.to_owned() });
        };
        match Backend::choose(global, self.settings).await? {
            Backend::Server(client) => {
                for letter in &self.letters {
                    push(letter, found(client.delete(&position::path(letter)).await)?.is_some());
                }
            }
            Backend::Database(database) => {
                let store = database.open().await?;
                for letter in &self.letters {
                    push(letter, dead_letters::delete(&store, letter).await?);
                }
                store.close().await;
            }
        }
        print_outcomes(output, &rows, "not_found")
    }
}
