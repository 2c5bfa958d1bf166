//! The neighbours that the configuration chooses: a database, an event bus, a Content Service.

use std::path::Path;
use std::sync::Arc;

use companions::{CompanionSettings, Companions, ContentService};
use engine::ports::{Broker, Clock, ContentStore};
use engine::{Engine, LocalBroker, Shards, relay};
#[cfg(feature = "kafka")]
use kafka::KafkaBroker;
use secrecy::ExposeSecret as _;
use store::Store;
use telemetry::Tasks;

use crate::config::Config;
use crate::content_client::ContentClient;
use crate::error::Error;
#[cfg(feature = "kafka")]
use crate::settings::kafka_settings;

/// Opens the embedded database, or connects to the configured one and checks that its tables are there.
pub async fn store(config: &Config, clock: &Arc<dyn Clock>) -> Result<Store, Error> {
    if config.database_url.is_some() {
        let store = postgres(config).await?;
        fits(&store).await?;
        return Ok(store);
    }
    let folder = &config.data_dir;
    std::fs::create_dir_all(folder).map_err(|source| Error::DataFolder { folder: folder.clone(), source })?;
    let now = Arc::clone(clock);
    Ok(Store::open_sqlite(&folder.join("bos.db"), Arc::new(move || now.now()))?)
}

/// Connects to the configured PostgreSQL, whatever its tables.
pub async fn postgres(config: &Config) -> Result<Store, Error> {
    let Some(url) = &config.database_url else {
        let problem = "no PostgreSQL is configured: set DATABASE_URL".to_owned();
        return Err(store::Error::Unfit { problem }.into());
    };
    Ok(Store::connect_postgres(url.0.expose_secret(), config.database_max_connections.get()).await?)
}

/// Refuses tables that are not there, or that this program cannot work with.
pub async fn fits(store: &Store) -> Result<(), Error> {
    let problem = match store.schema().await? {
        Some(schema) if store::supports_schema(schema) => return is_whole(store).await,
        Some((_, min_reader)) if min_reader > store::SCHEMA => {
            format!(
                "the database asks for a program of schema {min_reader} or newer; this one knows {}",
                store::SCHEMA
            )
        }
        Some((current, _)) => {
            format!(
                "the database has schema {current} and this program needs {}: run `bos migrate up`",
                store::SCHEMA
            )
        }
        None => "the database has no tables yet: run `bos migrate up`".to_owned(),
    };
    Err(store::Error::Unfit { problem }.into())
}

/// Refuses a database that a promotion has not finished: half an installation must not be served.
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
    /// The log in our own database.
    Embedded(LocalBroker),
    /// A cluster.
    #[cfg(feature = "kafka")]
    Kafka(Arc<KafkaBroker>),
}

impl Bus {
    /// The embedded bus, or a client of the configured one, which need not be there yet.
    pub async fn open(config: &Config, store: &Store) -> Result<Self, Error> {
        #[cfg(feature = "kafka")]
        if let Some(settings) = kafka_settings(config) {
            return Ok(Self::Kafka(Arc::new(KafkaBroker::new(settings)?)));
        }
        debug_assert!(
            config.kafka_bootstrap_servers.is_none() || cfg!(feature = "kafka"),
            "refused at the start"
        );
        Ok(Self::Embedded(LocalBroker::open(store.clone()).await?))
    }

    /// The bus in our own database, where it is the configured one.
    pub async fn embedded(config: &Config, store: &Store) -> Result<Option<LocalBroker>, Error> {
        if config.kafka_bootstrap_servers.is_some() {
            return Ok(None);
        }
        Ok(Some(LocalBroker::open(store.clone()).await?))
    }

    /// For whoever reads and publishes.
    pub fn broker(&self) -> Arc<dyn Broker> {
        match self {
            Self::Embedded(broker) => Arc::new(broker.clone()),
            #[cfg(feature = "kafka")]
            Self::Kafka(broker) => Arc::<KafkaBroker>::clone(broker),
        }
    }

    /// The bus that units put their messages on themselves, because it is in the same database.
    pub fn in_database(&self) -> Option<LocalBroker> {
        match self {
            Self::Embedded(broker) => Some(broker.clone()),
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => None,
        }
    }

    /// Spawns what takes messages from the outbox to this bus, and what looks whether there is room for them.
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

    /// Leaves the bus, once nobody reads from it and nothing is sent any more.
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

/// The Content Service, and the companions whose it is where it is embedded.
pub struct Content {
    /// Where ingest has texts stored.
    pub store: Arc<dyn ContentStore>,
    /// The one that this process offers to others.
    pub embedded: Option<Arc<ContentService>>,
    /// The neighbours of the embedded bus.
    pub companions: Option<Companions>,
}

impl Content {
    /// Opens what is embedded. `with_bus`: the bus is embedded, so its neighbours are too.
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
            // Without a client there are companions.
            (None, None) => {
                return Err(store::Error::Unfit { problem: "no Content Service".to_owned() }.into());
            }
        };
        Ok(Self { store, embedded, companions: companions.filter(|_| with_bus) })
    }
}

/// Opens the companions' database in `folder`.
pub fn companions(config: &Config, folder: &Path, instant: bool) -> Result<Companions, Error> {
    let settings = CompanionSettings {
        instant,
        hunspell_dir: config.hunspell_dir.clone(),
        ..CompanionSettings::default()
    };
    Ok(Companions::open(&folder.join("companions.db"), settings)?)
}
