//! `bos token revoke`.

use clap::Args;
use serde::Serialize;

use super::TokenBackend;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos token revoke 3f9c0d5e71aa4b02")]
pub(crate) struct Revoke {
    /// The public part of the token: the digits after bos_, up to the second underscore
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
        let desk = TokenBackend::of(global, self.settings)?;
        if !desk.revoke(&self.token_id).await? {
            // What was typed may be a whole token, which is not repeated.
            output.note("There is no such token; bos token list shows those there are.");
            return Ok(Exit::NotFound);
        }
        let revoked = Revoked { token_id: self.token_id, revoked: true };
        output
            .one(&revoked, |revoked| format!("{} is revoked, from the next request on.", revoked.token_id))?;
        Ok(Exit::Ok)
    }
}
