//! `bos serve --crash-at POINT:N`: a real crash at a chosen place, in builds with the feature `crash-points` only.

use std::process;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

use engine::{Crash, CrashPoint};

/// Where the process ends, and at which pass of that place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CrashAt {
    point: CrashPoint,
    pass: u32,
}

impl CrashAt {
    /// Whether the point is passed only where the relay has messages to send.
    pub(crate) const fn is_of_relay(self) -> bool {
        self.point.is_in_relay()
    }

    /// Aborts at the chosen pass: nothing is flushed, closed or answered, as after a SIGKILL, and the exit status tells the
    /// two apart.
    pub(crate) fn arm(self) -> Crash {
        let passed = AtomicU32::new(0);
        Crash::armed(move |point| {
            if point == self.point && passed.fetch_add(1, Ordering::SeqCst) + 1 == self.pass {
                process::abort();
            }
            false
        })
    }
}

impl FromStr for CrashAt {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, pass) = text.split_once(':').ok_or("POINT:N is expected")?;
        let point = CrashPoint::ALL.into_iter().find(|point| point.name() == name);
        let pass = pass.parse().ok().filter(|pass| *pass > 0).ok_or("N is a number from 1")?;
        Ok(Self { point: point.ok_or("there is no crash point of that name")?, pass })
    }
}
