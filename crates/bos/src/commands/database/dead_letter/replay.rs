//! `bos dead-letter replay`.

use std::sync::Arc;

use anyhow::Context as _;
use api::admin::dead_letters;
use clap::Args;
use client::documents::{MessagePosition, ReplayOutcome};
use client::{Client, read};
use engine::ports::SystemClock;
use engine::{Crash, Engine};
use serde_json::json;

use super::{position, record};
use crate::commands::database::backend::{Backend, Database, found};
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};
use service::backends::Bus;
use service::settings::engine_settings;

/// Process the messages of dead letters again, as the consumer does.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos dead-letter replay huleedu.els.batch.phase.outcome.v1/3/4711\n\n\
    Correct the cause before, such as a row that could not be read. A message that was processed\n\
    meanwhile is a duplicate, and its dead letter is deleted too. If the message still cannot be\n\
    processed, the dead letter stays.")]
pub(super) struct ReplayCommand {
    /// Dead letters as `bos dead-letter list` prints them
    #[arg(required = true, value_name = "ID", value_parser = position::parse)]
    letters: Vec<MessagePosition>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl ReplayCommand {
    pub(super) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let rows = match Backend::choose(global, self.settings).await? {
            Backend::Server(client) => at_server(&client, &self.letters).await?,
            Backend::Database(database) => in_database(&database, &self.letters).await?,
        };
        output.rows(&["id", "outcome", "code", "forgotten"], &rows, |row| {
            vec![
                row.id.clone(),
                row.outcome.clone(),
                row.error_code.clone().unwrap_or_default(),
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

fn not_found(letter: &MessagePosition) -> ReplayOutcome {
    let outcome = "not_found".to_owned();
    ReplayOutcome { id: letter.to_string(), outcome, error_code: None, is_forgotten: false }
}

async fn at_server(client: &Client, letters: &[MessagePosition]) -> anyhow::Result<Vec<ReplayOutcome>> {
    let mut rows = Vec::with_capacity(letters.len());
    for letter in letters {
        let path = format!("{}/replay", position::path(letter));
        rows.push(match found(client.post_once(&path, &json!({})).await)? {
            Some(answer) => read(answer)?,
            None => not_found(letter),
        });
    }
    Ok(rows)
}

async fn in_database(database: &Database, letters: &[MessagePosition]) -> anyhow::Result<Vec<ReplayOutcome>> {
    let config = &database.config;
    let store = database.open().await?;
    let bus = Bus::embedded(config, &store).await?;
    let clock = Arc::new(SystemClock::default());
    // Messages that the replay sends stay in the outbox for the relay of a server, unless the bus is in the same database.
    let engine = Engine::open(store.clone(), engine_settings(config), clock, bus, Crash::default()).await?;
    let mut rows = Vec::with_capacity(letters.len());
    for letter in letters {
        if dead_letters::find(&store, letter).await?.is_none() {
            rows.push(not_found(letter));
            continue;
        }
        let delivery = record::fetch(config, &store, letter).await?;
        let replayed = dead_letters::replay(&engine, letter, delivery).await;
        rows.push(replayed.with_context(|| format!("cannot process {letter}"))?);
    }
    drop(engine);
    store.close().await;
    Ok(rows)
}
