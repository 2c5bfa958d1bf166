//! Commands that run the service, or need nothing but this program.

#[cfg(feature = "kafka")]
pub(crate) mod companions;
pub(crate) mod completions;
pub(crate) mod config;
#[cfg(feature = "crash-points")]
mod crash_at;
pub(crate) mod demo;
pub(crate) mod openapi;
pub(crate) mod serve;
