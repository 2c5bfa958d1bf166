//! Real servers for tests, benchmarks and chaos runs: [`Postgres`] and [`Kafka`], brought up for one run and gone
//! afterwards.
//!
//! [`bos`] starts the service's own program, and [`http`] is what load generators and judges speak to it.
//!
//! A [`Proxy`] before a server makes of the network what a network can be.
//!
//! Each server has a module with two types. The first is what most runs want: the developer's own server where a
//! variable names one, else one started here. The second, a `Server`, is always started here, and takes the faults that a
//! developer's server must be spared: a kill, a pause, a new start on the same data.
//!
//! A started server listens on a free port of the loopback address, keeps its data and its log in a throw-away folder
//! under the target folder, and is found on the machine or fetched once by Maven. Dropping its value ends it and removes
//! the folder, whether the run ended well, by an error or by a panic. A stop signal does the same once the program calls
//! [`process::watch_signals`], which every program that holds a server does first.
//!
//! Nothing here is asynchronous: starting a server is waiting for a process, and two are started side by side by two
//! threads.

pub mod bos;
#[cfg(feature = "databases")]
pub mod databases;
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

/// The target folder of the build that made this program, wherever cargo's configuration puts it.
pub fn target_folder() -> Result<PathBuf> {
    let program = env::current_exe().context("finding the target folder")?;
    let folder = target_of(&program).context("this program is not in a target folder")?;
    Ok(folder.to_path_buf())
}

/// Programs lie in `target/debug`, tests in `target/debug/deps`.
fn target_of(program: &Path) -> Option<&Path> {
    let folder = program.parent()?;
    if folder.ends_with("deps") { folder.parent()?.parent() } else { folder.parent() }
}

/// What the developer put into a variable.
#[expect(
    clippy::disallowed_methods,
    reason = "a developer's word to a test run, not configuration of the service"
)]
fn given(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Once;

    use super::*;

    /// For tests that hold a server: a stopped run lets them end it, as every program does that holds one.
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
