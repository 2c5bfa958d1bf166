//! `bos essay`: single essays.

mod status;
mod trigger;

use clap::{Args, Subcommand};

use crate::commands::Exit;
use crate::commands::output::Output;
use client::Client;

/// Send single essays to the spell checker and look at them.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos essay trigger essay.txt")]
pub(crate) struct EssayCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Have one essay spellchecked
    Trigger(trigger::Trigger),
    /// Say where an essay stands
    Status(status::Status),
}

impl EssayCommand {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<Exit> {
        match self.action {
            Action::Trigger(trigger) => trigger.run(client, output).await,
            Action::Status(status) => status.run(client, output).await,
        }
    }
}
