//! The server behind the pools: its URL, which may be read again, and whether it accepts connections at present.
//!
//! A pool repeats a refused connection until its time-out, and each caller would wait for that. So a caller that does not get a
//! connection soon has the server probed, by one probe for all callers, and is refused with the probe's error. While the server
//! is away, callers are refused at once, and one task probes the server until it is back.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::future::{Either, select};
use secrecy::ExposeSecret as _;
use secret::Secret;
use tokio::time::{sleep, timeout};

use super::ACQUIRE_TIMEOUT;
use super::primary::is_read_only;
use crate::error::Error;
use crate::sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use crate::sqlx::{self, Connection as _, PoolConnection, Postgres};

/// How long a caller waits for a connection before it has the server probed: longer than connecting takes; chosen.
const SUSPICION: Duration = Duration::from_millis(100);
/// How long the result of a probe is used by other callers; chosen.
const PROBE_HOLDS: Duration = Duration::from_millis(250);
/// The first and the longest pause between two probes of a server that is away; chosen.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The server of three pools. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Server {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    url: Secret,
    /// The version of the URL that the pools connect with.
    used: AtomicU64,
    /// Whether a server that refuses writes counts as away.
    must_write: bool,
    pools: OnceLock<Vec<PgPool>>,
    /// Why the server is away; while it is not, only the flag is read.
    is_away: AtomicBool,
    away: Mutex<Option<Error>>,
    probed: tokio::sync::Mutex<Option<(Instant, Option<Error>)>>,
    /// When a probe last succeeded.
    reached: Mutex<Option<Instant>>,
}

impl Server {
    /// A server at this URL, with the settings of a first session.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the URL is not one of PostgreSQL.
    pub(super) fn new(url: Secret, must_write: bool) -> Result<(Self, PgConnectOptions), Error> {
        let version = url.version();
        let options = options(&url)?;
        let shared = Shared {
            url,
            used: AtomicU64::new(version),
            must_write,
            pools: OnceLock::new(),
            is_away: AtomicBool::new(false),
            away: Mutex::default(),
            probed: tokio::sync::Mutex::default(),
            reached: Mutex::default(),
        };
        Ok((Self { shared: Arc::new(shared) }, options))
    }

    /// Sets the pools that get a new URL when the URL is read again.
    pub(super) fn set_pools(&self, pools: Vec<PgPool>) {
        let _ = self.shared.pools.set(pools);
    }

    /// Gets a connection from the pool. Fails at once while the server is away.
    pub(super) async fn acquire(&self, pool: &PgPool) -> Result<PoolConnection<Postgres>, Error> {
        let shared = &self.shared;
        shared.use_present_url();
        // A session from before the outage may still work.
        if let Some(error) = shared.outage().filter(|_| pool.num_idle() == 0) {
            return Err(error);
        }
        let suspicion = async {
            sleep(SUSPICION).await;
            match Box::pin(self.probe()).await {
                Some(error) => error,
                // Every connection of the pool is in use.
                None => std::future::pending().await,
            }
        };
        let (acquiring, suspicion) = (pin!(pool.acquire()), pin!(suspicion));
        match select(acquiring, suspicion).await {
            Either::Left((Ok(connection), _)) => Ok(connection),
            Either::Left((Err(sqlx::Error::PoolTimedOut), _))
                if !shared.was_reached_within(ACQUIRE_TIMEOUT) =>
            {
                let error = unreachable();
                self.set_away(error.clone());
                Err(error)
            }
            Either::Left((Err(error), _)) => {
                let error = Error::connecting(error);
                if !error.is_refused_login() {
                    return Err(error);
                }
                // The probe reads the URL again.
                match Box::pin(self.probe()).await {
                    Some(error) => Err(error),
                    None => Box::pin(pool.acquire()).await.map_err(Error::connecting),
                }
            }
            Either::Right((error, _)) => Err(error),
        }
    }

    /// Whether a new connection can be made; the error if not. The server is away then until a later probe succeeds.
    async fn probe(&self) -> Option<Error> {
        // Probes one at a time: the others use its result.
        let mut probed = self.shared.probed.lock().await;
        if let Some((at, outcome)) = &*probed
            && at.elapsed() < PROBE_HOLDS
        {
            return outcome.clone();
        }
        let outcome = self.shared.connect().await.err();
        *probed = Some((Instant::now(), outcome.clone()));
        drop(probed);
        if let Some(error) = &outcome {
            self.set_away(error.clone());
        }
        outcome
    }

    fn set_away(&self, error: Error) {
        *self.shared.lock_away() = Some(error);
        if !self.shared.is_away.swap(true, Ordering::AcqRel) {
            let watch = watch(Arc::downgrade(&self.shared));
            #[expect(
                clippy::disallowed_methods,
                reason = "it ends with the driver or when the server is back, and commits nothing"
            )]
            tokio::spawn(watch);
        }
    }
}

/// Probes a server that is away until it is back.
async fn watch(server: Weak<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        sleep(pause).await;
        let Some(shared) = server.upgrade() else { return };
        match shared.connect().await {
            Ok(()) => {
                *shared.lock_away() = None;
                shared.is_away.store(false, Ordering::Release);
                return;
            }
            Err(error) => *shared.lock_away() = Some(error),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl Shared {
    fn outage(&self) -> Option<Error> {
        if self.is_away.load(Ordering::Acquire) { self.lock_away().clone() } else { None }
    }

    fn lock_away(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a connection and closes it. After a refused login the URL is read again, and a new one is tried at once.
    async fn connect(&self) -> Result<(), Error> {
        let tried = self.url.version();
        let outcome = match self.try_to_connect().await {
            Err(error) if error.is_refused_login() && self.has_another_url(tried) => {
                self.use_present_url();
                self.try_to_connect().await
            }
            // Connections of the pools become free.
            Err(error) if error.code() == "database_connections_exhausted" => Ok(()),
            outcome => outcome,
        };
        if outcome.is_ok() {
            *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        outcome
    }

    /// Reads the URL again. Whether it differs from the one of this version: another task may have read it meanwhile.
    fn has_another_url(&self, tried: u64) -> bool {
        self.url.read_again_after_refusal("database_url") || self.url.version() != tried
    }

    fn was_reached_within(&self, time: Duration) -> bool {
        let reached = *self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.is_some_and(|at| at.elapsed() <= time)
    }

    async fn try_to_connect(&self) -> Result<(), Error> {
        let options = options(&self.url)?;
        let attempt = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            if self.must_write && is_read_only(&mut connection).await? {
                return Err(sqlx::Error::Protocol("the server accepts no writes".to_owned()));
            }
            connection.close().await
        };
        match timeout(ACQUIRE_TIMEOUT, attempt).await {
            Ok(outcome) => outcome.map_err(Error::connecting),
            Err(_) => Err(unreachable()),
        }
    }

    /// Has the pools connect with the present URL, if it was read again since.
    fn use_present_url(&self) {
        let present = self.url.version();
        // Read first, because this runs for every unit and read.
        if self.used.load(Ordering::Acquire) == present
            || self.used.swap(present, Ordering::AcqRel) == present
        {
            return;
        }
        match options(&self.url) {
            Ok(options) => {
                for pool in self.pools.get().into_iter().flatten() {
                    pool.set_connect_options(options.clone());
                }
            }
            Err(error) => tracing::error!(%error, "the new database URL cannot be used"),
        }
    }
}

/// The error of a server that does not answer.
fn unreachable() -> Error {
    Error::connecting(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
}

/// The address of the URL and the settings of every session.
fn options(url: &Secret) -> Result<PgConnectOptions, Error> {
    let options: PgConnectOptions = url
        .get()
        .expose_secret()
        .parse()
        .map_err(|_| Error::Unfit { problem: "the database URL is not a PostgreSQL URL".to_owned() })?;
    Ok(options.application_name("bos").options([
        ("statement_timeout", "5s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("synchronous_commit", "on"),
        ("timezone", "UTC"),
        // Just-in-time compilation takes longer than any statement of this crate, which the cost estimate does not reflect.
        ("jit", "off"),
        // Every statement has an index for its look-ups. With statistics from when a queue was empty, PostgreSQL would scan
        // the whole queue for each row of another table: 700 ms for 500 messages (measured), until the next ANALYZE.
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
    ]))
}
