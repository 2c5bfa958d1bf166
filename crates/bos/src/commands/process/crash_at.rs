//! `bos serve --crash-at POINT:N`: a real crash at a chosen point, in builds with the feature `crash-points` only.

use std::process;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

use engine::{Crash, CrashPoint};

/// The crash point where the process ends, and at which pass of it, counted from 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CrashAt {
    point: CrashPoint,
    pass: u32,
}

impl CrashAt {
    /// Whether only a relay that has messages to send passes this point.
    pub(crate) const fn is_of_relay(self) -> bool {
        self.point.is_in_relay()
    }

    /// Aborts at the chosen pass. As after SIGKILL, nothing is flushed, closed or answered; the exit status is SIGABRT's.
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
        let (name, pass) = text.split_once(':').ok_or("expected POINT:N")?;
        let point = CrashPoint::ALL.into_iter().find(|point| point.name() == name);
        let pass = pass.parse().ok().filter(|pass| *pass > 0).ok_or("expected a number N of at least 1")?;
        Ok(Self { point: point.ok_or("unknown crash point")?, pass })
    }
}
