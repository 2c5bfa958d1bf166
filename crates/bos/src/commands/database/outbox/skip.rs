//! `bos outbox skip`.

use clap::Args;

use super::place::{self, Place, Verdict};
use crate::commands::Exit;
use crate::commands::database::installation;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;

/// Give parked messages up, so that what waits behind them goes on.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos outbox skip 12/3456\n\n\
    The receiver never hears of it: a phase that it was to start ends by its time-out. Its bytes stay in the\n\
    table outbox_sent as long as those of sent messages, without a place on the bus.")]
pub(super) struct SkipCommand {
    /// Rows as `bos outbox pending` prints them
    #[arg(required = true, value_name = "ID")]
    rows: Vec<Place>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl SkipCommand {
    pub(super) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let store = installation::open(&self.settings.load_for_upkeep()?.config).await?;
        let exit = place::each(&store, &self.rows, Verdict::Skip, output).await;
        store.close().await;
        exit
    }
}
