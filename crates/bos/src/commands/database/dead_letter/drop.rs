//! `bos dead-letter drop`.

use clap::Args;
use serde::Serialize;

use super::place::Place;
use crate::commands::Exit;
use crate::commands::database::installation;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;

/// Forget dead letters. What they point at stays on the bus and is not read again.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos dead-letter drop huleedu.els.batch.phase.outcome.v1/3/4711")]
pub(super) struct DropCommand {
    /// Dead letters as `bos dead-letter list` prints them
    #[arg(required = true, value_name = "ID")]
    letters: Vec<Place>,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Serialize)]
struct Row {
    id: String,
    /// `dropped` or `not_found`.
    outcome: &'static str,
}

impl DropCommand {
    pub(super) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let store = installation::open(&self.settings.load_for_upkeep()?.config).await?;
        let mut rows = Vec::with_capacity(self.letters.len());
        for place in &self.letters {
            let outcome = if place.forget(&store).await? { "dropped" } else { "not_found" };
            rows.push(Row { id: place.to_string(), outcome });
        }
        store.close().await;
        output.rows(&["id", "outcome"], &rows, |row| vec![row.id.clone(), row.outcome.to_owned()])?;
        Ok(match rows.iter().filter(|row| row.outcome == "not_found").count() {
            0 => Exit::Ok,
            missing if missing == rows.len() => Exit::NotFound,
            _ => Exit::SomeFailed,
        })
    }
}
