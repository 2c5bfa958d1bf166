//! How many files and sockets the system lets this process have open.

use std::num::NonZeroU32;

/// Asks for as many as this process may have. Systems start programs with few for the sake of those that count on it.
#[cfg(unix)]
pub fn ask_for_more() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Refused, the few must do.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// Asks for as many as this process may have.
#[cfg(not(unix))]
pub fn ask_for_more() {}

/// How many of the wanted connections the system can bear. Half of the files are left for the databases: a request may need a
/// reader of its own, and a database that cannot open its files serves nobody.
pub fn bearable(wanted: NonZeroU32) -> NonZeroU32 {
    let Some(half) = limit().map(|limit| limit / 2) else { return wanted };
    let half = NonZeroU32::new(u32::try_from(half).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
    if half < wanted {
        tracing::warn!(
            max_connections = half.get(),
            "the system gives too few files for the connections that are configured; raise its limit (ulimit -n)"
        );
    }
    wanted.min(half)
}

#[cfg(unix)]
fn limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn limit() -> Option<u64> {
    None
}
