//! Crash points: the places where a crash leaves something for a background task to find (DESIGN.md's crash table), by name.
//!
//! Tests set one and watch what the next start makes of it. A release build has no switch: [`Crash::at`] does nothing there.

use crate::Error;

/// Where to stop dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// Before the accept transaction: nothing is stored.
    BeforeAccept,
    /// The accept transaction is committed, nobody was answered.
    Accepted,
    /// The Content Service has the texts, we do not know yet.
    TextStored,
    /// A change is committed, the tasks were not woken.
    BeforeWake,
    /// The relay has chosen rows and published nothing.
    BeforePublish,
    /// The bus has the messages, their outbox rows are still there.
    Published,
    /// The consumer has messages in hand and nothing of them in the database.
    Polled,
    /// The consumer's change is committed, its position is not.
    Consumed,
    /// A dead letter is written, the position is not.
    SetAside,
    /// A timer was read as due, nothing is committed.
    TimerFired,
}

impl CrashPoint {
    /// Every point, for tests that walk them.
    pub const ALL: [Self; 10] = [
        Self::BeforeAccept,
        Self::Accepted,
        Self::TextStored,
        Self::BeforeWake,
        Self::BeforePublish,
        Self::Published,
        Self::Polled,
        Self::Consumed,
        Self::SetAside,
        Self::TimerFired,
    ];

    /// Whether only the relay passes it, which on the embedded bus finds the outbox empty unless the units leave it to do.
    pub const fn is_of_relay(self) -> bool {
        matches!(self, Self::BeforePublish | Self::Published)
    }

    /// The name used to choose a point from outside the process.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeAccept => "before_accept",
            Self::Accepted => "accepted",
            Self::TextStored => "text_stored",
            Self::BeforeWake => "before_wake",
            Self::BeforePublish => "before_publish",
            Self::Published => "published",
            Self::Polled => "polled",
            Self::Consumed => "consumed",
            Self::SetAside => "set_aside",
            Self::TimerFired => "timer_fired",
        }
    }
}

/// What to do at a crash point: nothing, unless a test has chosen one.
#[derive(Clone, Default)]
pub struct Crash {
    #[cfg(feature = "crash-points")]
    armed: Option<std::sync::Arc<dyn Fn(CrashPoint) -> bool + Send + Sync>>,
}

impl std::fmt::Debug for Crash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Crash")
    }
}

impl Crash {
    /// Asks `decide` at every point it passes; true stops the task there with [`Error::Crashed`]. A `decide` that ends the
    /// process instead makes a real crash.
    #[cfg(feature = "crash-points")]
    pub fn armed(decide: impl Fn(CrashPoint) -> bool + Send + Sync + 'static) -> Self {
        Self { armed: Some(std::sync::Arc::new(decide)) }
    }

    /// Passes a crash point.
    #[cfg(feature = "crash-points")]
    pub(crate) fn at(&self, point: CrashPoint) -> Result<(), Error> {
        match &self.armed {
            Some(decide) if decide(point) => Err(Error::Crashed),
            _ => Ok(()),
        }
    }

    #[cfg(not(feature = "crash-points"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "the twin with crash points needs both"
    )]
    pub(crate) const fn at(&self, _: CrashPoint) -> Result<(), Error> {
        Ok(())
    }
}
