//! The processes on one database: one, or two that share the work.
//!
//! SQLite lets one process open its file. Two engines over one open file behave as two processes to
//! everything above the tables: leases, shards, offsets and memory are each engine's own, and only the tables
//! are shared. When one of two crashes, the other goes on. When none is left, the file is closed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use store::Store;

use crate::chance::Fault;
use crate::process::{Environment, Process};

/// Number of shards where two processes share the database. A single process has one, the default on SQLite.
const SHARDS: i64 = 4;
/// Turns that a crashed process is down, at most, while the other goes on.
const MAX_AWAY: u64 = 80;

/// The processes, running or crashed.
#[derive(Debug)]
pub struct Processes {
    file: PathBuf,
    environment: Environment,
    /// `None` only between a close and the next open, because the file has one opener.
    store: Option<Store>,
    members: Vec<Member>,
    /// Number of processes started so far; it gives each a name of its own.
    starts: u32,
}

/// The place of a process, which keeps it across crashes.
#[derive(Debug, Default)]
struct Member {
    running: Option<Process>,
    /// The simulated time of its next lease renewal.
    renew_at: Duration,
    /// The turn at which it is started again.
    restart_at: u64,
}

impl Processes {
    /// Starts `count` processes on a new database.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn start(file: &Path, environment: &Environment, count: usize) -> Result<Self> {
        let store = open(file, environment)?;
        if count > 1 {
            share_out(file)?;
        }
        let members = std::iter::repeat_with(Member::default).take(count).collect();
        let mut processes = Self {
            file: file.to_owned(),
            environment: environment.clone(),
            store: Some(store),
            members,
            starts: 0,
        };
        processes.start_all().await?;
        Ok(processes)
    }

    /// The database without injected faults.
    ///
    /// # Errors
    /// When the last process could not be started again.
    pub fn store(&self) -> Result<&Store> {
        self.store.as_ref().context("the database is not open")
    }

    /// The indices of all processes, crashed ones too.
    pub fn all(&self) -> std::ops::Range<usize> {
        0..self.members.len()
    }

    /// The process at an index, if it runs.
    pub fn get(&mut self, at: usize) -> Option<&mut Process> {
        self.members.get_mut(at)?.running.as_mut()
    }

    /// The index of a running process, drawn.
    pub fn pick_running(&self) -> usize {
        let running: Vec<usize> = self.all().filter(|at| self.is_running(*at)).collect();
        if let [only] = running.as_slice() {
            return *only;
        }
        self.environment.chance.pick(&running).unwrap_or_default()
    }

    /// The index of a process that has stopped at a crash point.
    pub fn crashed(&self) -> Option<usize> {
        self.members.iter().position(|member| member.running.as_ref().is_some_and(Process::has_crashed))
    }

    fn is_running(&self, at: usize) -> bool {
        self.members.get(at).is_some_and(|member| member.running.is_some())
    }

    /// Whether a process runs and its leases are due for renewal, which happens every `period`.
    pub fn is_renewal_due(&mut self, at: usize, period: Duration) -> bool {
        let now = self.environment.clock.elapsed();
        let Some(member) = self.members.get_mut(at) else { return false };
        if member.running.is_none()
            || now < member.renew_at
            || self.environment.chance.injects(Fault::LeaseLost)
        {
            return false;
        }
        member.renew_at = now + period;
        true
    }

    /// Counts the fault when two processes work on one shard.
    pub fn record_shared_shards(&self) {
        let mut held = Vec::new();
        for process in self.members.iter().filter_map(|member| member.running.as_ref()) {
            let shards = process.shards();
            if shards.iter().any(|shard| held.contains(shard)) {
                self.environment.chance.record(Fault::SharedShard);
                return;
            }
            held.extend(shards);
        }
    }

    /// Crashes a process in turn `now`. Another one goes on without it for a while. Where there is none, the
    /// database is closed and opened by the next start. Committed rows stay, and records that the bus has
    /// taken stay in flight.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn crash(&mut self, at: usize, now: u64) -> Result<()> {
        let Some(member) = self.members.get_mut(at) else { return Ok(()) };
        member.running = None;
        if self.all().any(|at| self.is_running(at)) {
            let away = self.environment.chance.between(1, MAX_AWAY);
            if let Some(member) = self.members.get_mut(at) {
                member.restart_at = now + away;
            }
            self.environment.chance.record(Fault::CrashOfOne);
            return Ok(());
        }
        if let Some(store) = self.store.take() {
            store.close().await;
        }
        self.store = Some(open(&self.file, &self.environment)?);
        self.start_one(at).await
    }

    /// Starts the crashed processes that are due.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn start_due(&mut self, now: u64) -> Result<()> {
        for at in self.all() {
            if self.members.get(at).is_some_and(|member| member.running.is_none() && member.restart_at <= now)
            {
                self.start_one(at).await?;
            }
        }
        Ok(())
    }

    /// Starts every crashed process.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn start_all(&mut self) -> Result<()> {
        self.start_due(u64::MAX).await
    }

    async fn start_one(&mut self, at: usize) -> Result<()> {
        self.starts += 1;
        let name = format!("simulated-{}", self.starts);
        let running = Process::start(self.store()?, name, &self.environment).await?;
        if let Some(member) = self.members.get_mut(at) {
            *member = Member { running: Some(running), ..Member::default() };
        }
        Ok(())
    }

    /// Ends every process.
    pub async fn stop(self) {
        let Self { store, members, .. } = self;
        drop(members);
        if let Some(store) = store {
            store.close().await;
        }
    }
}

fn open(file: &Path, environment: &Environment) -> Result<Store> {
    let clock = environment.clock.clone();
    Ok(Store::open_sqlite(file, Arc::new(move || clock.time()))?)
}

/// Gives a new database several shards, before any process has read their number.
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
