//! The processes on one database: one, or two that share the work.
//!
//! SQLite lets one process have its file. Two engines over one open file are two processes to everything above the tables:
//! leases, shards, places on the bus and what is in hand are each one's own, and only the tables are both's. Of two, one dies
//! while the other goes on; the file is closed when nobody is left.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use store::Store;

use crate::chance::Fault;
use crate::installation::{Installation, Surroundings};

/// Shards where two processes share the work. Alone a process has one, as SQLite has it.
const SHARDS: i64 = 4;
/// Turns that a process is away, at most, while the other goes on.
const AWAY: u64 = 80;

/// The processes, dead or alive.
#[derive(Debug)]
pub struct Processes {
    file: PathBuf,
    around: Surroundings,
    /// None only between two lives: the file has one opener.
    store: Option<Store>,
    seats: Vec<Seat>,
    /// Lives that have begun: each has a name of its own.
    lives: u32,
}

/// Where a process is, or was and will be again.
#[derive(Debug, Default)]
struct Seat {
    living: Option<Installation>,
    /// When it renews its leases.
    leases_at: Duration,
    /// The turn at which it is started again.
    back_at: u64,
}

impl Processes {
    /// Starts so many processes on a new database.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn start(file: &Path, around: &Surroundings, count: usize) -> Result<Self> {
        let store = open(file, around)?;
        if count > 1 {
            share_out(file)?;
        }
        let seats = std::iter::repeat_with(Seat::default).take(count).collect();
        let mut processes =
            Self { file: file.to_owned(), around: around.clone(), store: Some(store), seats, lives: 0 };
        processes.start_all().await?;
        Ok(processes)
    }

    /// The database as it is, for whoever looks at it from outside.
    ///
    /// # Errors
    /// When the last process could not be started again.
    pub fn store(&self) -> Result<&Store> {
        self.store.as_ref().context("the database is not open")
    }

    /// Places of processes, dead ones too.
    pub fn all(&self) -> std::ops::Range<usize> {
        0..self.seats.len()
    }

    /// The process at a place, if it lives.
    pub fn get(&mut self, at: usize) -> Option<&mut Installation> {
        self.seats.get_mut(at)?.living.as_mut()
    }

    /// One that lives.
    pub fn any(&self) -> usize {
        let living: Vec<usize> = self.all().filter(|at| self.lives_at(*at)).collect();
        if let [only] = living.as_slice() {
            return *only;
        }
        self.around.chance.pick(&living).unwrap_or_default()
    }

    /// One that has stopped at a crash point.
    pub fn dead(&self) -> Option<usize> {
        self.seats.iter().position(|seat| seat.living.as_ref().is_some_and(Installation::is_dead))
    }

    fn lives_at(&self, at: usize) -> bool {
        self.seats.get(at).is_some_and(|seat| seat.living.is_some())
    }

    /// Whether a process lives and its leases are to be renewed, as it does every `period`.
    pub fn renews(&mut self, at: usize, period: Duration) -> bool {
        let now = self.around.clock.elapsed();
        let Some(seat) = self.seats.get_mut(at) else { return false };
        if seat.living.is_none() || now < seat.leases_at || self.around.chance.strikes(Fault::LeaseLost) {
            return false;
        }
        seat.leases_at = now + period;
        true
    }

    /// Counts it when two work one shard.
    pub fn note_shared(&self) {
        let mut held = Vec::new();
        for process in self.seats.iter().filter_map(|seat| seat.living.as_ref()) {
            let shards = process.shards();
            if shards.iter().any(|shard| held.contains(shard)) {
                self.around.chance.happened(Fault::SharedShard);
                return;
            }
            held.extend(shards);
        }
    }

    /// Ends a process in its turn `now`. Another goes on without it for a while; where there is none, the database is closed, and
    /// opened by the next life. What is committed stays, and what was handed to the bus is on its way.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn crash(&mut self, at: usize, now: u64) -> Result<()> {
        let Some(seat) = self.seats.get_mut(at) else { return Ok(()) };
        seat.living = None;
        if self.all().any(|at| self.lives_at(at)) {
            let away = self.around.chance.between(1, AWAY);
            if let Some(seat) = self.seats.get_mut(at) {
                seat.back_at = now + away;
            }
            self.around.chance.happened(Fault::CrashOfOne);
            return Ok(());
        }
        if let Some(store) = self.store.take() {
            store.close().await;
        }
        self.store = Some(open(&self.file, &self.around)?);
        self.start_at(at).await
    }

    /// Starts those whose time has come again.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn start_due(&mut self, now: u64) -> Result<()> {
        for at in self.all() {
            if self.seats.get(at).is_some_and(|seat| seat.living.is_none() && seat.back_at <= now) {
                self.start_at(at).await?;
            }
        }
        Ok(())
    }

    /// Starts whoever does not live.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn start_all(&mut self) -> Result<()> {
        self.start_due(u64::MAX).await
    }

    async fn start_at(&mut self, at: usize) -> Result<()> {
        self.lives += 1;
        let name = format!("simulated-{}", self.lives);
        let living = Installation::start(self.store()?, name, &self.around).await?;
        if let Some(seat) = self.seats.get_mut(at) {
            *seat = Seat { living: Some(living), ..Seat::default() };
        }
        Ok(())
    }

    /// Ends everybody.
    pub async fn stop(self) {
        let Self { store, seats, .. } = self;
        drop(seats);
        if let Some(store) = store {
            store.close().await;
        }
    }
}

fn open(file: &Path, around: &Surroundings) -> Result<Store> {
    let clock = around.clock.clone();
    Ok(Store::open_sqlite(file, Arc::new(move || clock.time()))?)
}

/// Gives a new database several shards, before anybody has read how many there are.
fn share_out(file: &Path) -> Result<()> {
    let db = rusqlite::Connection::open(file)?;
    db.execute("UPDATE meta SET value = ?1 WHERE key = 'shards'", [SHARDS.to_string()])?;
    for shard in 1..SHARDS {
        db.execute(
            "INSERT INTO leases (shard, lease_until) SELECT ?1, lease_until FROM leases WHERE shard = 0",
            [shard],
        )?;
    }
    Ok(())
}
