//! Many runs, on all cores.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, anyhow};

use crate::Sabotage;
use crate::report::Report;
use crate::run::{self, Outcome};

/// Makes one run in a temporary folder.
///
/// # Errors
/// When no temporary folder can be made, or the database cannot be used.
pub fn run(seed: u64, sabotage: Option<Sabotage>, trace: bool) -> Result<Outcome> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().context("making a runtime")?;
    let folder = tempfile::Builder::new().prefix("simulation").tempdir_in(memory())?;
    runtime.block_on(run::simulate(seed, folder.path(), sabotage, trace))
}

/// Makes `count` runs, with the seeds from `first` on.
pub fn run_many(first: u64, count: u64) -> Report {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicU64::new(0);
    let one_thread = || {
        let mut report = Report::default();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return report;
            }
            let seed = first + at;
            match run(seed, None, false) {
                Ok(outcome) => report.add(outcome),
                Err(error) => report.add_broken(seed, &error),
            }
        }
    };
    let mut all = Report::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(one_thread)).collect();
        for worker in workers {
            match worker.join() {
                Ok(report) => all.add_all(report),
                Err(_) => all.add_broken(first, &anyhow!("a thread panicked")),
            }
        }
    });
    all
}

/// A folder in memory, where a sync costs nothing; the folder for temporary files where there is none.
fn memory() -> PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() }
}
