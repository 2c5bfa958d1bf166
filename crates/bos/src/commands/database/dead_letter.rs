//! `bos dead-letter`: messages that could not be processed.

mod drop;
mod list;
mod position;
mod record;
mod replay;
mod show;

use clap::{Args, Subcommand};

use crate::commands::output::Output;
use crate::commands::{Exit, Global};

/// Manage dead letters.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos dead-letter list\n\n\
    A dead letter is the position of a message that could not be processed. The message\n\
    stays on the bus.\n\
    These commands ask the server of this configuration, or the one named with --server. Where no\n\
    server runs, and where the database is PostgreSQL, they open the database.")]
pub(crate) struct DeadLetterCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List dead letters, latest first
    List(list::ListCommand),
    /// Show a dead letter with the envelope of its message
    Show(show::ShowCommand),
    /// Process the messages of dead letters again
    Replay(replay::ReplayCommand),
    /// Drop dead letters
    Drop(drop::DropCommand),
}

impl DeadLetterCommand {
    pub(crate) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        match self.action {
            Action::List(command) => command.run(global, output).await,
            Action::Show(command) => command.run(global, output).await,
            Action::Replay(command) => command.run(global, output).await,
            Action::Drop(command) => command.run(global, output).await,
        }
    }
}
