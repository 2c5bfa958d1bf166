//! `bos token revoke`.

use clap::Args;
use serde::Serialize;

use crate::commands::database::backend::{Backend, found};
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};
use api::credentials::{self, is_token_id};

/// Revoke a token, in force with the next request.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos token revoke 3f9c0d5e71aa4b02")]
pub(crate) struct Revoke {
    /// Public part of the token: the digits between bos_ and the second underscore
    #[arg(value_name = "TOKEN_ID")]
    token_id: String,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Serialize)]
struct Revoked {
    token_id: String,
    revoked: bool,
}

impl Revoke {
    pub(crate) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        if !is_token_id(&self.token_id) || !revoke(global, self.settings, &self.token_id).await? {
            // The argument may be a whole token, so it is not repeated.
            output.note("There is no such token; `bos token list` lists them.");
            return Ok(Exit::NotFound);
        }
        let revoked = Revoked { token_id: self.token_id, revoked: true };
        output.one(&revoked, |revoked| {
            format!("Token {} is revoked, in force with the next request.", revoked.token_id)
        })?;
        Ok(Exit::Ok)
    }
}

/// Revokes a token. Returns false when there is none of this id.
async fn revoke(global: &Global, settings: SettingsArgs, token_id: &str) -> anyhow::Result<bool> {
    let database = match Backend::choose(global, settings).await? {
        Backend::Server(client) => {
            return Ok(found(client.delete(&format!("v1/tokens/{token_id}")).await)?.is_some());
        }
        Backend::Database(database) => database,
    };
    if !database.exists() {
        return Ok(false);
    }
    let store = database.open().await?;
    let revoked = credentials::revoke(&store, token_id).await;
    store.close().await;
    Ok(revoked?)
}
