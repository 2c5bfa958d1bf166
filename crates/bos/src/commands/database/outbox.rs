//! `bos outbox`: messages on their way to the bus.

mod decide;
mod pending;
mod replay;
mod retry;
mod skip;

use clap::{Args, Subcommand};

use crate::commands::output::Output;
use crate::commands::{Exit, Global};

/// Manage outbox messages.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos outbox pending\n\n\
    These commands ask the server of this configuration, or the one named with --server. Where no\n\
    server runs, and where the database is PostgreSQL, they open the database. `replay` always does.")]
pub(crate) struct OutboxCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List pending and parked messages, oldest first
    Pending(pending::PendingCommand),
    /// Retry parked messages
    Retry(retry::RetryCommand),
    /// Skip parked messages
    Skip(skip::SkipCommand),
    /// Send again what a broker has lost
    Replay(replay::ReplayCommand),
}

impl OutboxCommand {
    pub(crate) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        match self.action {
            Action::Pending(command) => command.run(global, output).await,
            Action::Retry(command) => command.run(global, output).await,
            Action::Skip(command) => command.run(global, output).await,
            Action::Replay(command) => command.run(output).await,
        }
    }
}
