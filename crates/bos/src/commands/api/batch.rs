//! `bos batch`: handing batches in and looking at them.

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

/// Hand in batches and look at them.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos batch submit essays/ --course ENG5 --wait")]
pub(crate) struct BatchCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Hand in essays as one batch
    Submit(submit::Submit),
    /// List batches, the youngest first
    List(list::List),
    /// Say where a batch stands
    Status(status::Status),
    /// Show the progress of a batch until it has ended
    Watch(watch::Watch),
    /// List the essays of a batch with their states
    Essays(essays::Essays),
    /// Show what became of each essay
    Results(results::Results),
}

/// Names a batch on the command line.
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
