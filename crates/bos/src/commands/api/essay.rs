//! `bos essay`: spellchecks single essays.

mod status;
mod trigger;

use clap::{Args, Subcommand};

use crate::commands::Exit;
use crate::commands::output::Output;
use client::Client;

/// Spellcheck single essays.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos essay trigger essay.txt")]
pub(crate) struct EssayCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send an essay to the spell checker
    Trigger(trigger::Trigger),
    /// Show the status of an essay
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
