//! `bos migrate up|status`: migrates the tables in PostgreSQL. An embedded installation migrates itself at each start.

use clap::{Args, Subcommand};
use serde::Serialize;
use store::Store;

use crate::commands::Exit;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use service::backends;

/// Migrate the tables in PostgreSQL.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  DATABASE_URL=postgres://owner@db/bos bos migrate up\n\n\
    Needs a role that may change tables, which `bos serve` does not. Migrations only add, so\n\
    replicas of the previous version can keep running.")]
pub(crate) struct MigrateCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Apply the missing migrations
    #[command(after_help = "Example:\n  bos migrate up")]
    Up {
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Show the schema version of the tables and the one that this program needs
    #[command(after_help = "Example:\n  bos migrate status -o json")]
    Status {
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

#[derive(Serialize)]
struct Status {
    /// Schema version of the tables; `None` if there are no tables.
    schema: Option<i64>,
    min_reader: Option<i64>,
    needed: i64,
    fits: bool,
}

impl MigrateCommand {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let (settings, up) = match self.action {
            Action::Up { settings } => (settings, true),
            Action::Status { settings } => (settings, false),
        };
        let config = settings.load_for_maintenance()?.config;
        let store = backends::postgres(&config).await?;
        let before = status(&store).await?;
        let now = if up {
            store.migrate_up().await?;
            status(&store).await?
        } else {
            before
        };
        store.close().await;
        let fits = now.fits;
        output.rows(&["schema", "min_reader", "needed", "fits"], &[now], |row| {
            let number = |n: Option<i64>| n.map_or_else(|| "none".to_owned(), |n| n.to_string());
            let fits = if row.fits { "yes" } else { "no: run `bos migrate up`" };
            vec![number(row.schema), number(row.min_reader), row.needed.to_string(), fits.to_owned()]
        })?;
        Ok(if fits { Exit::Ok } else { Exit::Failed })
    }
}

async fn status(store: &Store) -> Result<Status, store::Error> {
    let schema = store.schema().await?;
    let fits = schema.is_some_and(store::supports_schema);
    Ok(Status {
        schema: schema.map(|(current, _)| current),
        min_reader: schema.map(|(_, min_reader)| min_reader),
        needed: store::SCHEMA,
        fits,
    })
}
