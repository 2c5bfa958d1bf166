//! `bos token list`.

use clap::Args;

use super::instant;
use crate::commands::database::backend::Backend;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global, pages};
use api::credentials;
use client::documents::{Scope, TokenDocument};

/// List tokens, newest first.
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
        let user_id = self.user.as_deref();
        let mut tokens: Vec<TokenDocument> = match Backend::choose(global, self.settings).await? {
            Backend::Server(client) => {
                let filter: Vec<_> = user_id.map(|user_id| ("user_id", user_id)).into_iter().collect();
                let read_page = async |rows, cursor: Option<String>| {
                    Ok((pages::get(&client, "v1/tokens", &filter, rows, cursor.as_deref()).await?, ()))
                };
                pages::collect(usize::MAX, read_page).await?.0
            }
            Backend::Database(database) if database.exists() => {
                let store = database.open().await?;
                let read_page = async |rows, cursor: Option<String>| {
                    let user_id = user_id.map(str::to_owned);
                    Ok((credentials::list(&store, user_id, cursor.unwrap_or_default(), rows).await?, ()))
                };
                let tokens = pages::collect(usize::MAX, read_page).await;
                store.close().await;
                tokens?.0
            }
            Backend::Database(_) => Vec::new(),
        };
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
            output.note("No tokens. Create one: bos token create --user NAME");
        }
        Ok(Exit::Ok)
    }
}
