//! More classes than the service can take, and what becomes of it afterwards (F77).

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Result, anyhow, ensure};

use super::nemesis::rest;
use crate::{history::Call, load::Run};

/// They hand in as fast as they are answered, beside those who always do.
const CALLERS: usize = 24;
/// The number of the first of them: nobody else's.
const FIRST_CALLER: usize = 100;
const TIME: Duration = Duration::from_mins(3);
/// So long after the flood those who hand in as always must not be refused any more.
const RECOVERED_WITHIN: Duration = Duration::from_secs(10);

/// The `number`th flood of a run. Says how long after it somebody was refused for the last time.
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
        // What they have in hand they hand in until it is taken.
        for caller in callers {
            caller.join().map_err(|_| anyhow!("one of many callers panicked"))??;
        }
        rested.map(|()| ended_at)
    })?;
    rest(RECOVERED_WITHIN)?;
    let refused_at = run.history.last(is_refused).unwrap_or_default();
    let refused_for = refused_at.saturating_sub(ended_at);
    ensure!(refused_for <= RECOVERED_WITHIN, "callers were refused for {refused_for:?} after the flood");
    Ok(refused_for)
}

/// Whether somebody was asked to come back.
pub(super) fn is_refused(call: &Call) -> bool {
    call.op.is_write() && matches!(call.facts.status, Some(429 | 503))
}
