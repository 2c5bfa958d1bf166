//! `bos token`: what callers prove themselves with, where `auth = "token"`.

mod backend;
mod create;
mod list;
mod revoke;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};

use crate::commands::output::Output;
use crate::commands::{Exit, Global};
use backend::TokenBackend;

/// Make tokens of callers, list them and take them back.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos token create --user anna --expires 90d\n\n\
    Asks the server of this configuration, or the one named with --server. Where none runs, and\n\
    where the database is PostgreSQL, it goes to the database itself: so the first token is made.")]
pub(crate) struct TokenCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token; it is shown once
    Create(create::Create),
    /// List tokens, the youngest first
    List(list::List),
    /// Take a token back; in force with the next request
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
