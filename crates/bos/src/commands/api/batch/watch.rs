//! `bos batch watch`: follows a batch until it is at rest.

use std::time::Duration;

use clap::Args;

use super::{BatchArg, status};
use crate::commands::api::follow::{Followed, exit_of, follow, out_of_time};
use crate::commands::api::progress::Bars;
use crate::commands::output::Output;
use crate::commands::{Exit, duration};
use client::Client;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos batch watch 0197c5e0-7d1f-7a3b-9c55-2f6f4a1b0c3d --timeout 5m")]
pub(super) struct Watch {
    #[command(flatten)]
    of: BatchArg,
    /// Maximum time to wait, such as 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

impl Watch {
    pub(super) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<Exit> {
        let batch = self.of.batch;
        let mut bars = Bars::new(output, 0);
        match follow(client, batch, &mut bars, self.timeout).await? {
            Followed::OutOfTime => Ok(out_of_time(batch, output)),
            Followed::AtRest(at_rest) => {
                status::print(client.get(&format!("v1/batch/{batch}/status"), &[]).await?, output)?;
                output.note(&format!("Next: bos batch results {batch}"));
                Ok(exit_of(&at_rest, 0))
            }
        }
    }
}
