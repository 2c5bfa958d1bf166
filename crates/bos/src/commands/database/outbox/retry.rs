//! `bos outbox retry`.

use api::admin::outbox::Decision;
use clap::Args;
use client::documents::OutboxPosition;

use super::decide;
use crate::commands::database::backend::Backend;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};

/// Retry parked messages. The later messages of their keys follow them.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos outbox retry 12/3456\n\n\
    Correct the cause before, such as a topic's max.message.bytes.")]
pub(super) struct RetryCommand {
    /// Messages as `bos outbox pending` prints them
    #[arg(required = true, value_name = "ID")]
    rows: Vec<OutboxPosition>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl RetryCommand {
    pub(super) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let backend = Backend::choose(global, self.settings).await?;
        decide::each(&backend, &self.rows, Decision::Retry, output).await
    }
}
