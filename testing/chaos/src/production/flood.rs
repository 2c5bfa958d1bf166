//! A flood: more classes than the service can take, and its recovery afterwards (F77).

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Result, anyhow, ensure};

use super::pause::rest;
use crate::{history::Call, load::Run};

/// Additional clients, which submit as fast as they are answered.
const CALLERS: usize = 24;
/// The worker number of the first of them.
const FIRST_CALLER: usize = 100;
/// Duration of a flood (chosen).
const TIME: Duration = Duration::from_mins(3);
/// The time after a flood from which on no client may be refused (chosen).
const RECOVERED_WITHIN: Duration = Duration::from_secs(10);

/// Makes the `number`th flood of a run. Returns the time from its end to the last refusal.
pub(super) fn flood(run: &Run, number: usize) -> Result<Duration> {
    let enough = AtomicBool::new(false);
    let first = FIRST_CALLER + number * CALLERS;
    let ended_at = thread::scope(|threads| {
        let flood = |caller| {
            let enough = &enough;
            threads.spawn(move || run.flood(caller, enough))
        };
        let callers: Vec<_> = (first..first + CALLERS).map(flood).collect();
        let rested = rest(TIME);
        enough.store(true, Ordering::Relaxed);
        let ended_at = run.history.elapsed();
        // Each client repeats its last submission until it is accepted.
        for caller in callers {
            caller.join().map_err(|_| anyhow!("a client of the flood panicked"))??;
        }
        rested.map(|()| ended_at)
    })?;
    rest(RECOVERED_WITHIN)?;
    let refused_at = run.history.last(is_refused).unwrap_or_default();
    let refused_for = refused_at.saturating_sub(ended_at);
    ensure!(refused_for <= RECOVERED_WITHIN, "callers were refused for {refused_for:?} after the flood");
    Ok(refused_for)
}

/// Whether a client was asked to come back later.
pub(super) fn is_refused(call: &Call) -> bool {
    call.op.is_write() && matches!(call.facts.status, Some(429 | 503))
}
