//! `bos token list`.

use clap::Args;

use super::instant;
use crate::commands::database::backend::Backend;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};
use api::credentials::{Scope, TokenDocument};
use client::documents::Page;
use client::{Client, Failure, read};
use store::Store;

/// Tokens per page, at the server and in the database.
const PAGE: u32 = 500;

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
        let mut tokens = match Backend::choose(global, self.settings).await? {
            Backend::Server(client) => at_server(&client, user_id).await?,
            Backend::Database(database) if database.exists() => {
                let store = database.open().await?;
                let tokens = in_database(&store, user_id).await;
                store.close().await;
                tokens?
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

async fn at_server(client: &Client, user_id: Option<&str>) -> Result<Vec<TokenDocument>, Failure> {
    let mut tokens: Vec<TokenDocument> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let limit = PAGE.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(user_id.map(|user_id| ("user_id", user_id)));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: Page = read(client.get("v1/tokens", &query).await?)?;
        tokens.extend(page.data.into_iter().map(read::<TokenDocument>).collect::<Result<Vec<_>, _>>()?);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(tokens);
        }
    }
}

async fn in_database(store: &Store, user_id: Option<&str>) -> Result<Vec<TokenDocument>, store::Error> {
    let mut tokens: Vec<TokenDocument> = Vec::new();
    loop {
        let user_id = user_id.map(str::to_owned);
        let after = tokens.last().map(|last| last.token_id.clone()).unwrap_or_default();
        let page = store.read(move |tx| {
            Box::pin(async move {
                let rows = tx.tokens(user_id.as_deref(), &after, PAGE).await?;
                let now = tx.now();
                Ok::<Vec<_>, store::Error>(rows.into_iter().map(|row| TokenDocument::new(row, now)).collect())
            })
        });
        let page = page.await?;
        if page.is_empty() {
            return Ok(tokens);
        }
        tokens.extend(page);
    }
}
