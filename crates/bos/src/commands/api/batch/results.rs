//! `bos batch results`: shows the result of each essay.

use clap::{Args, ValueEnum};

use super::BatchArg;
use crate::commands::Exit;
use crate::commands::api::rows;
use crate::commands::output::Output;
use client::Client;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bos batch results 0197c5e0-7d1f-7a3b-9c55-2f6f4a1b0c3d\n  \
    bos batch results 0197c5e0-7d1f-7a3b-9c55-2f6f4a1b0c3d --outcome failed -o jsonl")]
pub(super) struct Results {
    #[command(flatten)]
    of: BatchArg,
    /// Only essays with this outcome
    #[arg(long, value_enum)]
    outcome: Option<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Outcome {
    /// All requested phases succeeded
    Succeeded,
    /// A phase failed
    Failed,
}

impl Results {
    pub(super) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<Exit> {
        let outcome = self.outcome.map(|outcome| match outcome {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed => "failed",
        });
        let rows = rows::of_batch(client, self.of.batch, outcome).await?;
        rows::print(&rows, output)?;
        output.say(&rows::summary(&rows, None))?;
        Ok(Exit::Ok)
    }
}
