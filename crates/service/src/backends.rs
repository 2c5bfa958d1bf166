//! The backends that the configuration chooses: a database, an event bus, a Content Service.

use std::path::Path;
use std::sync::Arc;

use companions::{CompanionSettings, Companions, ContentService};
use engine::ports::{Broker, Clock, ContentStore, LifecycleStatus};
use engine::{Engine, LocalBroker, Shards, relay};
#[cfg(feature = "kafka")]
use kafka::KafkaBroker;
use store::Store;
use telemetry::Tasks;

use crate::config::Config;
use crate::content_client::ContentClient;
use crate::error::Error;
use crate::lifecycle_client::LifecycleClient;
#[cfg(feature = "kafka")]
use crate::settings::kafka_settings;
use crate::settings::{els_retries, embeds_lifecycle};

/// Opens the embedded database, or connects to the configured PostgreSQL and checks its tables ([`check_schema`]).
///
/// # Errors
/// The data folder or the database cannot be used, or its tables do not fit this program.
pub async fn store(config: &Config, clock: &Arc<dyn Clock>) -> Result<Store, Error> {
    if config.database_url.is_some() {
        let store = postgres(config).await?;
        check_schema(&store).await?;
        return Ok(store);
    }
    let folder = &config.data_dir;
    std::fs::create_dir_all(folder).map_err(|source| Error::DataFolder { folder: folder.clone(), source })?;
    let now = Arc::clone(clock);
    Ok(Store::open_sqlite(&folder.join("bos.db"), Arc::new(move || now.now()))?)
}

/// Connects to the configured PostgreSQL without checking its tables.
///
/// # Errors
/// No PostgreSQL is configured, or it cannot be reached.
pub async fn postgres(config: &Config) -> Result<Store, Error> {
    let Some(url) = &config.database_url else {
        let problem = "no PostgreSQL is configured: set DATABASE_URL".to_owned();
        return Err(store::Error::Unfit { problem }.into());
    };
    Ok(Store::connect_postgres(url.0.clone(), config.database_max_connections.get()).await?)
}

/// Checks that the tables exist, that this program supports their schema, and that no promotion is unfinished.
///
/// # Errors
/// [`store::Error::Unfit`] with the next step, or the database failed.
pub async fn check_schema(store: &Store) -> Result<(), Error> {
    let problem = match store.schema().await? {
        Some(schema) if store::supports_schema(schema) => return is_whole(store).await,
        Some((_, min_reader)) if min_reader > store::SCHEMA => {
            format!(
                "the database needs a program of schema {min_reader} or newer, but this one has schema {}: use a newer bos",
                store::SCHEMA
            )
        }
        Some((current, _)) => {
            format!(
                "the database has schema {current}, but this program needs {}: run `bos migrate up`",
                store::SCHEMA
            )
        }
        None => "the database has no tables yet: run `bos migrate up`".to_owned(),
    };
    Err(store::Error::Unfit { problem }.into())
}

/// Refuses a database with an unfinished promotion, because it holds only a part of the installation.
async fn is_whole(store: &Store) -> Result<(), Error> {
    match store.read(|tx| Box::pin(async move { tx.promotion().await })).await? {
        Some(promotion) if !promotion.is_done => {
            let problem =
                "an installation is being promoted into this database (promotion_unfinished): run the same \
                `bos promote` again until it is done"
                    .to_owned();
            Err(store::Error::Unfit { problem }.into())
        }
        Some(_) | None => Ok(()),
    }
}

/// The event bus.
pub enum Bus {
    /// The log table in the service's own database.
    Embedded(LocalBroker),
    /// A Kafka cluster.
    #[cfg(feature = "kafka")]
    Kafka(Arc<KafkaBroker>),
}

impl Bus {
    /// Opens the embedded bus, or makes a client of the configured Kafka. Kafka need not be reachable yet.
    ///
    /// # Errors
    /// The embedded log cannot be opened, or the client cannot be made.
    pub async fn open(config: &Config, store: &Store) -> Result<Self, Error> {
        #[cfg(feature = "kafka")]
        if let Some(settings) = kafka_settings(config) {
            return Ok(Self::Kafka(Arc::new(KafkaBroker::new(settings)?)));
        }
        debug_assert!(
            config.kafka_bootstrap_servers.is_none() || cfg!(feature = "kafka"),
            "a build without Kafka refuses this setting at the start"
        );
        Ok(Self::Embedded(LocalBroker::open(store.clone()).await?))
    }

    /// Opens the embedded bus; none if Kafka is configured.
    ///
    /// # Errors
    /// The embedded log cannot be opened.
    pub async fn embedded(config: &Config, store: &Store) -> Result<Option<LocalBroker>, Error> {
        if config.kafka_bootstrap_servers.is_some() {
            return Ok(None);
        }
        Ok(Some(LocalBroker::open(store.clone()).await?))
    }

    /// The bus as the engine's broker port.
    pub fn broker(&self) -> Arc<dyn Broker> {
        match self {
            Self::Embedded(broker) => Arc::new(broker.clone()),
            #[cfg(feature = "kafka")]
            Self::Kafka(broker) => Arc::<KafkaBroker>::clone(broker),
        }
    }

    /// The embedded bus, to which a unit appends its messages in its own transaction; none for Kafka.
    pub fn in_database(&self) -> Option<LocalBroker> {
        match self {
            Self::Embedded(broker) => Some(broker.clone()),
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => None,
        }
    }

    /// Spawns the relay from the outbox to this bus, and for Kafka the monitor of the topics.
    pub fn relay(&self, engine: &Arc<Engine>, shards: &Shards, tasks: &Tasks) {
        let (engine, end) = (Arc::clone(engine), tasks.stop_signal());
        match self {
            Self::Embedded(broker) => tasks.spawn("relay", relay::embedded::run(engine, broker.clone(), end)),
            #[cfg(feature = "kafka")]
            Self::Kafka(broker) => {
                tasks.spawn("topics", broker.watch_topics(end.clone()));
                tasks.spawn("relay", relay::run(engine, self.broker(), shards.clone(), end));
            }
        }
        #[cfg(not(feature = "kafka"))]
        let _ = shards;
    }

    /// Closes the clients of the bus. Call it after the tasks that read and publish have ended.
    #[cfg_attr(
        not(feature = "kafka"),
        expect(clippy::unused_async, reason = "only Kafka has clients to close")
    )]
    pub async fn leave(self) {
        match self {
            Self::Embedded(_) => {}
            #[cfg(feature = "kafka")]
            Self::Kafka(broker) => broker.leave().await,
        }
    }
}

/// The Content Service, with the companions where they are embedded.
pub struct Content {
    /// The Content Service in which ingest stores texts.
    pub store: Arc<dyn ContentStore>,
    /// The Content Service that this process serves over HTTP, if it is embedded.
    pub embedded: Option<Arc<ContentService>>,
    /// The companions that run on the embedded bus; none with Kafka.
    pub companions: Option<Companions>,
}

impl Content {
    /// Opens the embedded Content Service and companions, or makes a client of the configured Content Service.
    ///
    /// `with_bus`: the bus is embedded, so the companions run on it. `instant`: they answer at once, without language work.
    ///
    /// # Errors
    /// The companions' database cannot be opened, or the client cannot be made.
    pub fn open(config: &Config, with_bus: bool, instant: bool) -> Result<Self, Error> {
        let client = match &config.content_service_url {
            Some(url) => Some(ContentClient::new(
                url.as_url(),
                config.ingest_concurrency,
                config.content_connect_timeout,
                config.content_timeout,
            )?),
            None => None,
        };
        let companions = if with_bus || client.is_none() {
            Some(companions(config, &config.data_dir, instant)?)
        } else {
            None
        };
        let embedded = companions.as_ref().filter(|_| client.is_none()).map(Companions::content);
        let store: Arc<dyn ContentStore> = match (client, &embedded) {
            (Some(client), _) => Arc::new(client),
            (None, Some(service)) => Arc::<ContentService>::clone(service),
            // Cannot happen: without a client the companions are opened above.
            (None, None) => {
                return Err(store::Error::Unfit { problem: "no Content Service".to_owned() }.into());
            }
        };
        Ok(Self { store, embedded, companions: companions.filter(|_| with_bus) })
    }
}

/// The lifecycle service that is asked about silent phases: the configured one, or the embedded one; none where there is neither.
///
/// # Errors
/// The client cannot be made.
pub fn lifecycle(
    config: &Config,
    companions: Option<&Companions>,
) -> Result<Option<Arc<dyn LifecycleStatus>>, Error> {
    if let Some(url) = &config.els_url {
        return Ok(Some(Arc::new(LifecycleClient::new(url.as_url(), config.els_timeout)?)));
    }
    let embedded = companions.filter(|_| embeds_lifecycle(config));
    Ok(embedded.map(|companions| Arc::new(companions.lifecycle()) as Arc<dyn LifecycleStatus>))
}

/// Opens the companions with their database, `companions.db`, in `folder`.
///
/// # Errors
/// The database cannot be opened.
pub fn companions(config: &Config, folder: &Path, instant: bool) -> Result<Companions, Error> {
    let settings = CompanionSettings {
        instant,
        hunspell_dir: config.hunspell_dir.clone(),
        retries: els_retries(config),
        ..CompanionSettings::default()
    };
    Ok(Companions::open(&folder.join("companions.db"), settings)?)
}
