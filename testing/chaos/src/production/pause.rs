//! Pauses of a run, which end when it is interrupted.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use testbed::process;

/// How often a pause checks for an interruption.
const POLL: Duration = Duration::from_millis(50);

/// Waits for `time`; an error when the run is interrupted.
pub(super) fn rest(time: Duration) -> Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        process::check_interrupted()?;
        thread::sleep(POLL);
    }
    Ok(())
}
