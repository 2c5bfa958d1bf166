//! `bos token list`.

use clap::Args;

use super::{TokenBackend, instant};
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};
use api::credentials::Scope;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos token list --user anna")]
pub(crate) struct List {
    /// Only tokens of this user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl List {
    pub(crate) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let mut tokens = TokenBackend::of(global, self.settings)?.list(self.user.as_deref()).await?;
        tokens.sort_by_key(|token| std::cmp::Reverse(token.created_at));
        let header = ["token", "user", "org", "scopes", "status", "created", "expires", "note"];
        output.rows(&header, &tokens, |token| {
            vec![
                token.token_id.clone(),
                token.user_id.clone(),
                token.org_id.clone().unwrap_or_default(),
                token.scopes.iter().copied().map(Scope::as_str).collect::<Vec<_>>().join(","),
                token.status.as_str().to_owned(),
                instant(token.created_at),
                token.expires_at.map_or_else(|| "never".to_owned(), instant),
                token.note.clone().unwrap_or_default(),
            ]
        })?;
        if tokens.is_empty() {
            output.note("There is no such token. Next: bos token create --user NAME");
        }
        Ok(Exit::Ok)
    }
}
