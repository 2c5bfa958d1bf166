//! The limit of open files and sockets of this process.

use std::num::NonZeroU32;

/// Raises the limit to the maximum that the system allows.
///
/// Systems start programs with a low limit for the sake of those that use `select`, which supports only 1,024 files.
#[cfg(unix)]
pub fn raise_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // If the system refuses, the present limit applies, and `max_connections` keeps within it.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// Does nothing: this system has no such limit.
#[cfg(not(unix))]
pub fn raise_limit() {}

/// The number of HTTP connections to accept: `wanted`, but at most half of the file limit.
///
/// The other half is for the databases, because a request may open a reader, and a database that cannot open its files fails.
pub fn max_connections(wanted: NonZeroU32) -> NonZeroU32 {
    let Some(half) = limit().map(|limit| limit / 2) else { return wanted };
    let half = NonZeroU32::new(u32::try_from(half).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
    if half < wanted {
        tracing::warn!(
            max_connections = half.get(),
            "max_connections is lowered to half of the limit of open files; raise the limit (ulimit -n)"
        );
    }
    wanted.min(half)
}

/// The number of connections of a second, small listener: `wanted`, but at most an eighth of the file limit.
pub fn bearable_beside(wanted: NonZeroU32) -> NonZeroU32 {
    let Some(eighth) = limit().map(|limit| limit / 8) else { return wanted };
    let eighth = NonZeroU32::new(u32::try_from(eighth).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
    wanted.min(eighth)
}

#[cfg(unix)]
fn limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn limit() -> Option<u64> {
    None
}
