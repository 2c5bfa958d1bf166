//! Crash points: named places where a crash leaves a row that the next start must recover, as ARCHITECTURE.md lists them.
//!
//! Tests arm one and check the recovery. Builds without the feature `crash-points`, such as release builds, have none: there
//! [`Crash::at`] does nothing.

use crate::error::Error;

/// A place to crash at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// Before the accept transaction: nothing is stored.
    BeforeAccept,
    /// The accept transaction is committed, the caller has no answer.
    Accepted,
    /// The Content Service has stored the texts, the database does not say so.
    TextStored,
    /// A change is committed, the tasks were not signalled.
    BeforeWake,
    /// The relay has read rows and sent nothing.
    BeforePublish,
    /// The bus has the messages, their outbox rows are not deleted.
    Published,
    /// The consumer has received messages and written nothing.
    Polled,
    /// The consumer's changes are committed, its offsets are not.
    Consumed,
    /// A dead letter is committed, the offset is not.
    SetAside,
    /// A timer was read as due, nothing is written.
    TimerFired,
}

impl CrashPoint {
    /// All crash points.
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

    /// Whether only the relay passes the point. On an embedded bus the relay has nothing to do unless the units leave messages in
    /// the outbox, that is, unless the engine is opened without the bus.
    pub const fn is_in_relay(self) -> bool {
        matches!(self, Self::BeforePublish | Self::Published)
    }

    /// The name of the point on the command line.
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

/// What to do at crash points: by default nothing.
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
    /// Calls `decide` at every crash point. When it returns true, the task stops there with [`Error::Crashed`]; a `decide` that
    /// ends the process makes a real crash.
    #[cfg(feature = "crash-points")]
    pub fn armed(decide: impl Fn(CrashPoint) -> bool + Send + Sync + 'static) -> Self {
        Self { armed: Some(std::sync::Arc::new(decide)) }
    }

    /// Passes a crash point: an error if it is armed.
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
        reason = "the variant with crash points needs both"
    )]
    pub(crate) const fn at(&self, _: CrashPoint) -> Result<(), Error> {
        Ok(())
    }
}
