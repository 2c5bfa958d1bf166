//! `bos batch`: submits batches and follows them.

mod essays;
mod list;
mod results;
mod status;
mod submit;
mod watch;

use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::commands::Exit;
use crate::commands::output::Output;
use client::Client;

/// Submit batches and follow them.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos batch submit essays/ --course ENG5 --wait")]
pub(crate) struct BatchCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Submit essays as one batch
    Submit(submit::Submit),
    /// List batches, newest first
    List(list::List),
    /// Show the status of a batch
    Status(status::Status),
    /// Follow a batch until it ends
    Watch(watch::Watch),
    /// List the essays of a batch with their states
    Essays(essays::Essays),
    /// Show the result of each essay
    Results(results::Results),
}

/// The argument that names a batch.
#[derive(Debug, Clone, Copy, Args)]
struct BatchArg {
    /// Id of the batch
    #[arg(value_name = "BATCH_ID")]
    batch: Uuid,
}

impl BatchCommand {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<Exit> {
        match self.action {
            Action::Submit(submit) => submit.run(client, output).await,
            Action::List(list) => list.run(client, output).await,
            Action::Status(status) => status.run(client, output).await,
            Action::Watch(watch) => watch.run(client, output).await,
            Action::Essays(essays) => essays.run(client, output).await,
            Action::Results(results) => results.run(client, output).await,
        }
    }
}
