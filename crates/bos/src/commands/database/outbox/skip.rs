//! `bos outbox skip`.

use api::admin::outbox::Decision;
use clap::Args;
use client::documents::OutboxPosition;

use super::decide;
use crate::commands::database::backend::Backend;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};

/// Skip parked messages. They are not sent, and the later messages of their keys are.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos outbox skip 12/3456\n\n\
    The receiver does not get the message, so a phase that it was to start ends by its time-out.\n\
    Its bytes stay in the table outbox_sent as long as those of sent messages, without partition and\n\
    offset.")]
pub(super) struct SkipCommand {
    /// Messages as `bos outbox pending` prints them
    #[arg(required = true, value_name = "ID")]
    rows: Vec<OutboxPosition>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl SkipCommand {
    pub(super) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let backend = Backend::choose(global, self.settings).await?;
        decide::each(&backend, &self.rows, Decision::Skip, output).await
    }
}
