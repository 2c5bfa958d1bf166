//! `bos outbox retry`.

use clap::Args;

use super::place::{self, Place, Verdict};
use crate::commands::Exit;
use crate::commands::database::installation;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;

/// Send parked messages again, each with what waits behind it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos outbox retry 12/3456\n\n\
    When what kept the bus from taking them is mended, such as a topic's max.message.bytes.")]
pub(super) struct RetryCommand {
    /// Rows as `bos outbox pending` prints them
    #[arg(required = true, value_name = "ID")]
    rows: Vec<Place>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl RetryCommand {
    pub(super) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let store = installation::open(&self.settings.load_for_upkeep()?.config).await?;
        let exit = place::each(&store, &self.rows, Verdict::Retry, output).await;
        store.close().await;
        exit
    }
}
