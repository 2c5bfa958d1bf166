//! Where an operator's command finds the data: at a running server, or in the database.
//!
//! - A server named with `--server` is asked.
//! - Where PostgreSQL is configured, the command opens it: any number of processes may.
//! - The embedded file is open in one process at a time. A file that no process has open is opened: a server at the configured
//!   address is then one of another data folder. Otherwise the server at that address is asked. The opened file stays locked until
//!   the command is done, so no server can start on it in between.
//!
//! `bos doctor` applies the same rule and asks for `/readyz`, which needs no token. `bos audit` and `bos outbox replay` need
//! Kafka, and therefore PostgreSQL: they always open the database.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use client::{Client, Failure};
use engine::ports::{Clock, SystemClock};
use serde::Serialize;
use service::backends;
use service::config::Config;
use store::Store;

use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};

/// Where an operator's command finds the data.
pub(crate) enum Backend {
    /// A server, asked over HTTP.
    Server(Client),
    /// The database, opened by this process.
    Database(Database),
}

/// The configured database.
pub(crate) struct Database {
    pub(crate) config: Box<Config>,
    /// The embedded file, if [`Backend::choose`] has opened it.
    opened: Option<Store>,
}

impl Backend {
    /// Chooses by the command line and the configuration.
    pub(crate) async fn choose(global: &Global, settings: SettingsArgs) -> anyhow::Result<Self> {
        if global.server.is_some() {
            return Ok(Self::Server(global.client()?));
        }
        Self::choose_by(global, settings.load_for_maintenance()?.config).await
    }

    async fn choose_by(global: &Global, config: Config) -> anyhow::Result<Self> {
        let mut database = Database::new(config);
        if database.config.database_url.is_none() {
            // The error is that of another process with the lock, or the next attempt to open the file reports it.
            database.opened = if database.exists() { database.connect().await.ok() } else { None };
            if database.opened.is_none() {
                let client = global.client_of(&server_of(&database.config))?;
                if is_served(&client).await? {
                    return Ok(Self::Server(client));
                }
            }
        }
        Ok(Self::Database(database))
    }
}

/// Whether a server of BOS listens at the client's address. Where another program listens, no server of this configuration
/// can run.
///
/// # Errors
/// When the connection is accepted and nothing answers.
async fn is_served(client: &Client) -> Result<bool, Failure> {
    match client.get("healthz", &[]).await {
        Ok(health) => Ok(health.get("status").is_some_and(|status| status == "ok")),
        Err(Failure::Problem(_)) => Ok(true),
        Err(Failure::Stranger { .. } | Failure::OtherVersion(_)) => Ok(false),
        Err(failure) if failure.is_refused_connection() => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Whether a server of this configuration runs on this machine, by the same rule and without a token.
pub(super) async fn has_server(config: &Config) -> bool {
    let Ok(client) = Client::new(&server_of(config)) else { return false };
    is_served(&client).await.unwrap_or(false)
}

impl Database {
    /// The database of a configuration, for commands that never ask a server.
    pub(crate) fn new(config: Config) -> Self {
        Self { config: Box::new(config), opened: None }
    }

    /// Opens the database.
    ///
    /// # Errors
    /// When it does not exist, another process has the embedded file open, or PostgreSQL does not answer.
    pub(crate) async fn open(&self) -> anyhow::Result<Store> {
        let file = self.config.data_dir.join("bos.db");
        if !self.exists() {
            let problem = format!("there is no {}; name the folder with --data-dir", file.display());
            return Err(store::Error::Unfit { problem }.into());
        }
        self.open_or_create().await
    }

    /// Opens the database, and creates an embedded one that does not exist yet.
    ///
    /// # Errors
    /// When another process has the embedded file open, or PostgreSQL does not answer.
    pub(crate) async fn open_or_create(&self) -> anyhow::Result<Store> {
        match &self.opened {
            Some(store) => Ok(store.clone()),
            None => Ok(self.connect().await.map_err(with_server_hint)?),
        }
    }

    async fn connect(&self) -> Result<Store, service::Error> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        backends::store(&self.config, &clock).await
    }

    /// Whether there is a database to open. PostgreSQL is taken to exist.
    pub(crate) fn exists(&self) -> bool {
        self.config.database_url.is_some() || self.config.data_dir.join("bos.db").exists()
    }
}

/// A file that is in use may be open in a server that listens at another address.
fn with_server_hint(error: service::Error) -> service::Error {
    let service::Error::Store(store::Error::Unfit { problem }) = error else { return error };
    let problem = format!("{problem}; where that is a server, name its address with --server");
    store::Error::Unfit { problem }.into()
}

/// The address of a server of this configuration, as this machine reaches it.
fn server_of(config: &Config) -> String {
    let host = match config.host {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address @ (IpAddr::V4(_) | IpAddr::V6(_)) => address,
    };
    format!("http://{}", SocketAddr::new(host, config.port))
}

/// The answer to a request; `None` when the server has nothing of this id (404).
pub(super) fn found<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Failure::Problem(problem)) if problem.status() == 404 => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// What became of one of the things that a command names.
#[derive(Debug, Serialize)]
pub(super) struct ItemOutcome {
    pub(super) id: String,
    pub(super) outcome: String,
}

/// Prints what became of each thing. The exit code is 3 when all outcomes are `missing`, and 4 when some are.
pub(super) fn print_outcomes(output: &Output, rows: &[ItemOutcome], missing: &str) -> anyhow::Result<Exit> {
    output.rows(&["id", "outcome"], rows, |row| vec![row.id.clone(), row.outcome.clone()])?;
    Ok(match rows.iter().filter(|row| row.outcome == missing).count() {
        0 => Exit::Ok,
        count if count == rows.len() => Exit::NotFound,
        _ => Exit::SomeFailed,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use service::config::{Flag, Sources};

    use super::*;

    #[derive(clap::Parser)]
    struct GlobalOptions {
        #[command(flatten)]
        global: Global,
    }

    /// What a command chooses that names nothing but the data folder.
    async fn choose(data_dir: &std::path::Path) -> Backend {
        let GlobalOptions { mut global } = GlobalOptions::parse_from(["bos"]);
        global.server = None;
        let value = data_dir.display().to_string();
        let flag = Flag { flag: "--data-dir".to_owned(), key: "data_dir".to_owned(), value };
        let sources = Sources { flags: vec![flag], ..Sources::default() };
        Backend::choose_by(&global, Config::load_for_maintenance(&sources).unwrap().config).await.unwrap()
    }

    fn open(file: &std::path::Path) -> Result<Store, store::Error> {
        Store::open_sqlite(file, Arc::new(|| SystemClock::default().now()))
    }

    #[tokio::test]
    async fn a_file_that_a_command_has_chosen_stays_locked_until_the_command_closes_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bos.db");
        open(&file).unwrap().close().await;

        let Backend::Database(database) = choose(folder.path()).await else {
            panic!("no process has the file")
        };
        assert!(open(&file).is_err(), "a server cannot start between the choice and the command");
        let store = database.open().await.unwrap();
        assert!(open(&file).is_err());
        store.close().await;
        drop((database, store));
        open(&file).unwrap().close().await;
    }
}
