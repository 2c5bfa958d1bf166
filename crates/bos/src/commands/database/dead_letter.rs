//! `bos dead-letter`: messages that could not be used.

mod drop;
mod list;
mod place;
mod record;
mod replay;
mod show;

use clap::{Args, Subcommand};

use crate::commands::Exit;
use crate::commands::output::Output;

/// Look after messages that could not be used.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos dead-letter list\n\n\
    A dead letter is a pointer: the message itself stays where it was found, on the bus. These commands work on\n\
    the configured database; an embedded one must not be open in a server.")]
pub(crate) struct DeadLetterCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them, latest first
    List(list::ListCommand),
    /// Show one, with the envelope of its message and never its text
    Show(show::ShowCommand),
    /// Deal with messages once more, and forget those that are dealt with
    Replay(replay::ReplayCommand),
    /// Forget them
    Drop(drop::DropCommand),
}

impl DeadLetterCommand {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        match self.action {
            Action::List(command) => command.run(output).await,
            Action::Show(command) => command.run(output).await,
            Action::Replay(command) => command.run(output).await,
            Action::Drop(command) => command.run(output).await,
        }
    }
}
