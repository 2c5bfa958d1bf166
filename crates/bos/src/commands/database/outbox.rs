//! `bos outbox`: messages on their way to the bus.

mod pending;
mod place;
mod replay;
mod retry;
mod skip;

use clap::{Args, Subcommand};

use crate::commands::Exit;
use crate::commands::output::Output;

/// Look after messages on their way to the bus.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos outbox pending\n\n\
    These commands work on the configured database; an embedded one must not be open in a server.")]
pub(crate) struct OutboxCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the messages that wait, oldest first, and those that are parked
    Pending(pending::PendingCommand),
    /// Send parked messages again, each with what waits behind it
    Retry(retry::RetryCommand),
    /// Give parked messages up, so that what waits behind them goes on
    Skip(skip::SkipCommand),
    /// Send once more what was sent, after a broker lost it
    Replay(replay::ReplayCommand),
}

impl OutboxCommand {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        match self.action {
            Action::Pending(command) => command.run(output).await,
            Action::Retry(command) => command.run(output).await,
            Action::Skip(command) => command.run(output).await,
            Action::Replay(command) => command.run(output).await,
        }
    }
}
