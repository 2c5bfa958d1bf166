//! Real servers for tests, benchmarks and chaos runs: [`Postgres`] and [`Kafka`], started for one run and removed after it.
//!
//! [`bos`] starts the service's own program, and [`http`] is the HTTP client of load generators and judges.
//!
//! A [`Proxy`] before a server injects network faults.
//!
//! Each server has a module with two types. The first is for most runs: it is the developer's own server if a variable
//! names one, else a server started here. The second, `Server`, is always started here, and supports faults that a
//! developer's server must not get: a kill, a pause, a restart on the same data.
//!
//! A started server listens on a free port of the loopback address and keeps its data and its log in a temporary folder
//! under the target folder. Its programs are those of the machine, or are downloaded once by Maven. Dropping the value stops
//! the server and removes the folder, also after an error or a panic. A stop signal does the same if the program has called
//! [`process::watch_signals`], which every program that holds a server does first.
//!
//! Nothing here is asynchronous, because starting a server means waiting for a process. Two threads start two servers at the
//! same time.

mod account;
pub mod bos;
#[cfg(feature = "databases")]
pub mod databases;
pub mod failing_disk;
pub mod http;
pub mod kafka;
mod left_out;
mod maven;
pub mod port;
pub mod postgres;
pub mod process;
pub mod proxy;
mod server;
pub mod small_disk;
pub mod wall_clock;

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

pub use kafka::Kafka;
pub use left_out::left_out;
pub use postgres::Postgres;
pub use proxy::Proxy;
pub use wall_clock::WallClock;

/// The target folder of the build that made this program, wherever Cargo's configuration puts it.
///
/// # Errors
/// This program is not in a target folder.
pub fn target_folder() -> Result<PathBuf> {
    let program = env::current_exe().context("finding the target folder")?;
    let folder = target_of(&program).context("this program is not in a target folder")?;
    Ok(folder.to_path_buf())
}

/// The target folder of a program in `target/debug` or a test in `target/debug/deps`.
fn target_of(program: &Path) -> Option<&Path> {
    let folder = program.parent()?;
    if folder.ends_with("deps") { folder.parent()?.parent() } else { folder.parent() }
}

/// The value of a variable that a developer has set; `None` if it is unset or empty.
#[expect(
    clippy::disallowed_methods,
    reason = "an instruction to a test run, not configuration of the service"
)]
fn given(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Once;

    use super::*;

    /// Call it in tests that hold a server, so that a stop signal ends the server.
    pub(crate) fn watch_signals() {
        static WATCHED: Once = Once::new();
        WATCHED.call_once(|| process::watch_signals().unwrap());
    }

    #[test]
    fn programs_and_tests_find_the_same_target_folder() {
        for program in ["b/target/debug/chaos", "b/target/release/deps/testbed-0123"] {
            assert_eq!(target_of(Path::new(program)), Some(Path::new("b/target")), "{program}");
        }
    }
}
