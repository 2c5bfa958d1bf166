//! The settings of the rules.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use string_enum::string_enum;

use crate::phase::{PerPhase, PhaseSet};

/// What the rules must know about the installation. The defaults are the published ones (see the documented configuration).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a phase may run without a result before it needs attention. Default: 5 minutes.
    pub start_timeout: PerPhase<Duration>,
    /// How long a phase may run before its open essays fail. Default: 30 minutes.
    pub phase_timeout: PerPhase<Duration>,
    /// How long the lifecycle service may take to confirm a registration before the batch needs attention. The batch fails
    /// after another [`phase_timeout`](Self::phase_timeout) of the phase that waits. Default: 5 minutes.
    pub registration_timeout: Duration,
    /// How long to wait for an outcome after the result of a phase's last essay before the lifecycle service is asked. Default:
    /// 30 seconds.
    pub outcome_grace: Duration,
    /// Silence after which a command or a request is sent again for the open essays. Default: 330 seconds, because the platform's
    /// services skip what they were handling at a kill for 300 seconds (measured).
    pub command_resend_after: Duration,
    /// How often the command or the requests of one attempt are sent again at most. Default: 2.
    pub command_resends: u32,
    /// Whether the lifecycle service can be asked where the essays of a batch are. Default: false.
    pub asks_lifecycle: bool,
    /// How a single essay reaches the spell checker. Default: by a request.
    pub single_essay_road: SingleEssayRoad,
    /// The phases that some service of this installation processes. Default: all.
    pub served: PhaseSet,
    /// Whether BOS registers batches with the lifecycle service; if not, another service does. Default: true.
    pub registration: bool,
    /// Whether the lifecycle service can process a failed essay again. Default: false.
    pub els_retries: bool,
}

string_enum! {
    /// How a single essay reaches the spell checker. By either road it is registered with the lifecycle service as a batch of one.
    pub enum SingleEssayRoad: "road of a single essay" {
        /// By a request to the spell checker, right after the registration. The essay's own result ends it.
        Request = "request",
        /// By a command to the lifecycle service, once it has confirmed the registration; slower, and clean at every neighbour.
        Lifecycle = "lifecycle",
    }
}

impl Default for Settings {
    /// The published time-outs, every phase served, and a lifecycle service that needs registration and cannot retry.
    fn default() -> Self {
        Self {
            start_timeout: PerPhase::all(Duration::from_mins(5)),
            phase_timeout: PerPhase::all(Duration::from_mins(30)),
            registration_timeout: Duration::from_mins(5),
            outcome_grace: Duration::from_secs(30),
            command_resend_after: Duration::from_secs(330),
            command_resends: 2,
            asks_lifecycle: false,
            single_essay_road: SingleEssayRoad::Request,
            served: PhaseSet::ALL,
            registration: true,
            els_retries: false,
        }
    }
}

/// The instant `wait` after `now`, or the latest representable instant if that overflows.
pub(crate) fn after(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(wait)
        .ok()
        .and_then(|wait| now.checked_add_signed(wait))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}
