//! Where tokens are kept: at a server, or in a database that no server holds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use api::credentials::{Fault, IssuedDocument, TokenDocument, TokenRequest, is_token_id, issue};
use client::documents::Page;
use client::{Client, Failure, read};
use engine::ports::{Clock as _, SystemClock};
use secrecy::ExposeSecret as _;
use store::{Lane, Store};

use service::backends;
use service::config::{Config, Error, setting::DatabaseUrl};

use crate::commands::Global;
use crate::commands::settings::SettingsArgs;

/// One command needs few.
const CONNECTIONS: u32 = 2;

/// Rows of a page, at the server and in the database.
const PAGE: u32 = 500;

/// The way to the tokens.
pub(crate) struct TokenBackend {
    /// The server to ask, unless the database is where all servers look themselves.
    client: Option<Client>,
    /// The database to go to when no server answers; none where a server was named.
    database: Option<Database>,
}

enum Database {
    /// PostgreSQL is anybody's who has its address.
    Postgres(DatabaseUrl),
    /// The file is the one process's that has its lock.
    Sqlite(PathBuf),
}

impl TokenBackend {
    /// As the command line and the configuration say.
    pub(crate) fn of(global: &Global, settings: SettingsArgs) -> anyhow::Result<Self> {
        if global.server.is_some() {
            return Ok(Self { client: Some(global.client()?), database: None });
        }
        let config = settings.load_for_upkeep()?.config;
        Ok(match config.database_url {
            Some(url) => Self { client: None, database: Some(Database::Postgres(url)) },
            None => Self {
                client: Some(global.client_of(&server_of(&config))?),
                database: Some(Database::Sqlite(config.data_dir.join("bos.db"))),
            },
        })
    }

    /// Makes a token.
    pub(crate) async fn create(&self, request: TokenRequest) -> anyhow::Result<IssuedDocument> {
        let acceptable = request.clone().check().map_err(|faults| unacceptable(&faults))?;
        if let Some(answer) = self.ask(async |client| client.post_once("v1/tokens", &request).await).await? {
            return Ok(read(answer)?);
        }
        let store = self.open(true).await?;
        let issued = match &store {
            Some(store) => Ok(issue(store, acceptable).await?),
            None => Err(anyhow::anyhow!("there is no database to keep a token in")),
        };
        close(store).await;
        issued
    }

    /// All tokens, or those of one user.
    pub(crate) async fn list(&self, user_id: Option<&str>) -> anyhow::Result<Vec<TokenDocument>> {
        if let Some(tokens) = self.ask(async |client| list_of(client, user_id).await).await? {
            return Ok(tokens);
        }
        let Some(store) = self.open(false).await? else { return Ok(Vec::new()) };
        let mut tokens: Vec<TokenDocument> = Vec::new();
        loop {
            let user_id = user_id.map(str::to_owned);
            let after = tokens.last().map(|last| last.token_id.clone()).unwrap_or_default();
            let page = store.read(move |tx| {
                Box::pin(async move {
                    let rows = tx.tokens(user_id.as_deref(), &after, PAGE).await?;
                    let now = tx.now();
                    Ok::<Vec<_>, store::Error>(
                        rows.into_iter().map(|row| TokenDocument::of(row, now)).collect(),
                    )
                })
            });
            let page = page.await?;
            let is_last = page.is_empty();
            tokens.extend(page);
            if is_last {
                store.close().await;
                return Ok(tokens);
            }
        }
    }

    /// Takes a token back; false when there is none of this id.
    pub(crate) async fn revoke(&self, token_id: &str) -> anyhow::Result<bool> {
        if !is_token_id(token_id) {
            return Ok(false);
        }
        let path = format!("v1/tokens/{token_id}");
        if self.ask(async |client| client.delete(&path).await).await?.is_some() {
            return Ok(true);
        }
        let Some(store) = self.open(false).await? else { return Ok(false) };
        let id = token_id.to_owned();
        let revoked = store.unit(Lane::Caller, move |tx| {
            let id = id.clone();
            Box::pin(async move { tx.revoke_token(&id).await })
        });
        let revoked: bool = revoked.await.map_err(|error: store::Error| error)?;
        store.close().await;
        Ok(revoked)
    }

    /// Asks the server; nothing when there is none and the database is to be gone to.
    async fn ask<T>(
        &self,
        question: impl AsyncFn(&Client) -> Result<T, Failure>,
    ) -> anyhow::Result<Option<T>> {
        let Some(client) = &self.client else { return Ok(None) };
        match question(client).await {
            Ok(answer) => Ok(Some(answer)),
            Err(failure) if self.database.is_some() && failure.is_refused_connection() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Opens the database; nothing when there is none yet and none is to be made.
    async fn open(&self, make: bool) -> anyhow::Result<Option<Store>> {
        match &self.database {
            Some(Database::Postgres(url)) => {
                let store = Store::connect_postgres(url.0.expose_secret(), CONNECTIONS).await?;
                backends::fits(&store).await?;
                Ok(Some(store))
            }
            Some(Database::Sqlite(file)) if make || file.exists() => {
                if let Some(folder) = file.parent() {
                    std::fs::create_dir_all(folder)
                        .map_err(|source| service::Error::DataFolder { folder: folder.to_owned(), source })?;
                }
                let opened = Store::open_sqlite(file, Arc::new(|| SystemClock::default().now()));
                Ok(Some(opened.map_err(with_another_way)?))
            }
            Some(Database::Sqlite(_)) | None => Ok(None),
        }
    }
}

/// A file in use is a server's whose address is not the configured one.
fn with_another_way(error: store::Error) -> store::Error {
    let store::Error::Unfit { problem } = error else { return error };
    store::Error::Unfit {
        problem: format!("{problem}; where that is a server, name its address with --server"),
    }
}

async fn close(store: Option<Store>) {
    if let Some(store) = store {
        store.close().await;
    }
}

async fn list_of(client: &Client, user_id: Option<&str>) -> Result<Vec<TokenDocument>, Failure> {
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

/// Where a server of this configuration listens, seen from this machine.
fn server_of(config: &Config) -> String {
    let host = match config.host {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address @ (IpAddr::V4(_) | IpAddr::V6(_)) => address,
    };
    format!("http://{}", SocketAddr::new(host, config.port))
}

/// A fault of the command line, by the flag that the field has there.
fn unacceptable(faults: &[Fault]) -> Error {
    let flag = |field| match field {
        "user_id" => "--user",
        "org_id" => "--org",
        "scopes" => "--scope",
        "expires_in" => "--expires",
        _ => "--note",
    };
    let of =
        |fault: &Fault| service::config::Fault::new(flag(fault.field), "is not acceptable", fault.detail);
    Error(faults.iter().map(of).collect())
}
