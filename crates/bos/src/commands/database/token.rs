//! `bos token`: API tokens, which callers authenticate with where `auth = "token"`.

mod create;
mod list;
mod revoke;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};

use crate::commands::output::Output;
use crate::commands::{Exit, Global};

/// Create, list and revoke API tokens.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos token create --user anna --expires 90d\n\n\
    These commands ask the server of this configuration, or the one named with --server. Where no\n\
    server runs, and where the database is PostgreSQL, they open the database.\n\
    This is how the first token is created.")]
pub(crate) struct TokenCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a token; it is shown once
    Create(create::Create),
    /// List tokens, newest first
    List(list::List),
    /// Revoke a token; in force with the next request
    Revoke(revoke::Revoke),
}

impl TokenCommand {
    pub(crate) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        match self.action {
            Action::Create(create) => create.run(global, output).await,
            Action::List(list) => list.run(global, output).await,
            Action::Revoke(revoke) => revoke.run(global, output).await,
        }
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
