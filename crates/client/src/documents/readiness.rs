//! Readiness of the service.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The readiness of the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Readiness {
    /// `ready` or `not_ready`.
    pub status: Cow<'static, str>,
    /// `ok`, `unavailable`, `unwritable` if the disk is full, read-only or failing, or `unfit` if the schema of the database does
    /// not fit this program.
    pub store: Cow<'static, str>,
    /// The background tasks, with the number of each that run; 0 means that the task has died.
    pub tasks: Vec<Alive>,
    /// Dependencies that could not be used when they were last tried. Work waits for them; the service stays ready.
    pub degraded: Vec<Degraded>,
}

/// A dependency that cannot be used now.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Degraded {
    /// The dependency: `database`, `content` or `bus`.
    pub name: Cow<'static, str>,
    /// The reason, as a stable code.
    pub code: Cow<'static, str>,
    /// When this process first saw the outage; null if no request of its own has failed yet.
    pub since: Option<DateTime<Utc>>,
}

/// A background task.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alive {
    /// The name of the task.
    pub name: Cow<'static, str>,
    /// How many of it run.
    pub alive: usize,
}
