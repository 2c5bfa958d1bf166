//! Commands that send requests to a server over HTTP.

pub(crate) mod batch;
mod corrections;
mod degraded;
pub(crate) mod essay;
pub(crate) mod files;
pub(crate) mod follow;
pub(crate) mod progress;
pub(crate) mod rows;
