//! Opening what is in the database, at the start of a service.

use std::sync::Arc;
use std::time::Duration;

use api::starting::Starting;
use api::{Auth, credentials};
use engine::Engine;
use engine::ports::Clock;
use store::Store;

use super::RunOptions;
use crate::backends::{self, Bus};
use crate::config::Config;
use crate::error::Error;
use crate::settings::engine_settings;

/// The first and the longest pause between two attempts to reach a PostgreSQL at the start; chosen.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What needs the database to open.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) bus: Bus,
    pub(super) engine: Arc<Engine>,
    /// Whether a token can authenticate a caller, if tokens do.
    pub(super) has_tokens: bool,
}

/// Opens the database and what is in it. Waits for a PostgreSQL that cannot be used, however long that takes: a process that
/// ended instead would be started again and again.
pub(super) async fn open(
    config: &Config,
    clock: &Arc<dyn Clock>,
    options: &RunOptions,
    starting: &Starting,
) -> Result<Opened, Error> {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match open_once(config, clock, options).await {
            Err(error) if config.database_url.is_some() => error,
            outcome => return outcome,
        };
        let Some(code) = error.store_error().filter(|error| can_pass(error)).map(store::Error::code) else {
            return Err(error);
        };
        starting.waits_for_database(code, clock.now());
        tracing::warn!(%error, code, pause_ms = pause.as_millis(), "waiting for the database; /readyz says so");
        clock.sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether this error of the database can pass without another configuration and without a migration.
const fn can_pass(error: &store::Error) -> bool {
    match error {
        store::Error::Unavailable { .. }
        | store::Error::Full { .. }
        | store::Error::Conflict { .. }
        | store::Error::Refused { .. } => true,
        store::Error::Unfit { .. }
        | store::Error::Damaged { .. }
        | store::Error::Corrupt { .. }
        | store::Error::Rejected { .. }
        | store::Error::Defect { .. } => false,
    }
}

async fn open_once(config: &Config, clock: &Arc<dyn Clock>, options: &RunOptions) -> Result<Opened, Error> {
    let store = backends::store(config, clock).await?;
    let bus = Bus::open(config, &store).await?;
    let engine = Engine::open(
        store.clone(),
        engine_settings(config),
        Arc::clone(clock),
        bus.in_database().filter(|_| !options.by_relay),
        options.crash.clone(),
    )
    .await?;
    let has_tokens = config.auth != Auth::Token || credentials::any_trusted(&store).await?;
    Ok(Opened { store, bus, engine, has_tokens })
}
