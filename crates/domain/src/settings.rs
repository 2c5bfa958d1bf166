//! What the rules must know about the installation.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::phase::{PerPhase, PhaseSet};

/// What the rules must know about the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a phase may stay silent before somebody should look.
    pub start_timeout: PerPhase<Duration>,
    /// How long a phase may take before its open essays fail.
    pub phase_timeout: PerPhase<Duration>,
    /// How long the lifecycle service may take to confirm a registration before somebody should look. It is then given
    /// as long again as the phase that waits for it.
    pub registration_timeout: Duration,
    /// How long to wait for an outcome after the news about a phase's last essay.
    pub outcome_grace: Duration,
    /// The phases that some service works on here.
    pub served: PhaseSet,
    /// Whether this service registers batches with the lifecycle service (where it does not, somebody else does).
    pub registration: bool,
    /// Whether the lifecycle service can try a failed essay again.
    pub els_retries: bool,
}

impl Default for Settings {
    /// The published numbers, every phase served, and a lifecycle service that registers and cannot retry.
    fn default() -> Self {
        Self {
            start_timeout: PerPhase::all(Duration::from_mins(5)),
            phase_timeout: PerPhase::all(Duration::from_mins(30)),
            registration_timeout: Duration::from_mins(5),
            outcome_grace: Duration::from_secs(30),
            served: PhaseSet::ALL,
            registration: true,
            els_retries: false,
        }
    }
}

/// The instant `wait` after `now`; the end of time where that cannot be told.
pub(crate) fn after(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(wait)
        .ok()
        .and_then(|wait| now.checked_add_signed(wait))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}
