//! `bos dead-letter replay`.

use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use engine::consumer;
use engine::ports::SystemClock;
use engine::{Applied, Crash, Disposition, Engine};
use serde::Serialize;
use store::Store;

use super::place::Place;
use super::record;
use crate::commands::Exit;
use crate::commands::database::installation;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use service::backends::Bus;
use service::config::Config;
use service::settings::engine_settings;

/// Deal with messages once more, by the road that every message takes, and forget those that are dealt with.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos dead-letter replay huleedu.els.batch.phase.outcome.v1/3/4711\n\n\
    When what kept them from being used is mended, such as a row that could not be read. A message that was\n\
    dealt with meanwhile is a duplicate, and forgotten too; one that is still of no use stays.")]
pub(super) struct ReplayCommand {
    /// Dead letters as `bos dead-letter list` prints them
    #[arg(required = true, value_name = "ID")]
    letters: Vec<Place>,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Serialize)]
struct Row {
    id: String,
    /// `applied`, `unchanged`, `duplicate`, `foreign`, `unusable`, `gone` from the bus, `not_found`.
    outcome: &'static str,
    /// Why it is still of no use.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'static str>,
    is_forgotten: bool,
}

impl ReplayCommand {
    pub(super) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let config = self.settings.load_for_upkeep()?.config;
        let store = installation::open(&config).await?;
        let bus = Bus::embedded(&config, &store).await?;
        let clock = Arc::new(SystemClock::default());
        // What it sends waits in the outbox for whoever runs, unless the bus is in the same database.
        let engine =
            Engine::open(store.clone(), engine_settings(&config), clock, bus, Crash::default()).await?;
        let mut rows = Vec::with_capacity(self.letters.len());
        for place in self.letters {
            rows.push(replay(&config, &store, &engine, place).await?);
        }
        drop(engine);
        store.close().await;
        output.rows(&["id", "outcome", "code", "forgotten"], &rows, |row| {
            vec![
                row.id.clone(),
                row.outcome.to_owned(),
                row.error_code.unwrap_or_default().to_owned(),
                if row.is_forgotten { "yes" } else { "no" }.to_owned(),
            ]
        })?;
        let left = rows.iter().filter(|row| !row.is_forgotten).count();
        Ok(match left {
            0 => Exit::Ok,
            _ if rows.iter().all(|row| row.outcome == "not_found") => Exit::NotFound,
            _ => Exit::SomeFailed,
        })
    }
}

async fn replay(config: &Config, store: &Store, engine: &Engine, place: Place) -> anyhow::Result<Row> {
    let row =
        |outcome, error_code, is_forgotten| Row { id: place.to_string(), outcome, error_code, is_forgotten };
    if place.find(store).await?.is_none() {
        return Ok(row("not_found", None, false));
    }
    let Some(delivery) = record::fetch(config, store, place).await? else {
        return Ok(row("gone", None, false));
    };
    let dealt =
        consumer::replay(engine, delivery).await.with_context(|| format!("{place} cannot be dealt with"))?;
    Ok(match dealt {
        Disposition::Unusable(why) => row("unusable", Some(why.code), false),
        // Whoever set it aside took it for ours: that it is not, an operator should decide.
        Disposition::Applied(applied @ Applied::Foreign) => row(applied.label(), None, false),
        Disposition::Applied(applied) => row(applied.label(), None, place.forget(store).await?),
    })
}
