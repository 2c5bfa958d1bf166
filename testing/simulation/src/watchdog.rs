//! Ends a turn that makes no progress, so that its seed fails instead of hanging.
//!
//! Two things keep a turn from its end. It may call its ports again and again: each draw of a fault counts as
//! a step, and 20,000 steps are too many. Or it may wait for something that never happens: then no step is
//! made for far longer than a database access takes. A loop that makes no call at all is neither, and would
//! still hang.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

use crate::chance::Chance;

/// Steps of a turn, at most; the longest turns take some hundreds (measured).
const STEPS: u64 = 20_000;
/// Real time between two polls of a waiting turn. Polls are counted rather than time, because a machine that
/// is suspended for a while must not fail a turn.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Polls in a row without a step after which a turn is ended.
const IDLE_POLLS: u32 = 60;

/// Takes a turn to its end. The error says what the turn was doing when it had no end.
pub async fn watch<T>(chance: &Chance, turn: impl Future<Output = T>) -> Result<T, String> {
    chance.begin_turn();
    let mut turn = pin!(turn);
    let mut within_steps = pin!(std::future::poll_fn(|context| match turn.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if chance.steps() > STEPS => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    }));
    let (mut steps, mut idle_polls) = (0, 0);
    while idle_polls < IDLE_POLLS {
        match timeout(POLL_INTERVAL, within_steps.as_mut()).await {
            Ok(Some(done)) => return Ok(done),
            Ok(None) => {
                return Err(format!(
                    "has no end after {STEPS} steps, the last of them {}",
                    chance.last_steps()
                ));
            }
            Err(_) if chance.steps() > steps => (steps, idle_polls) = (chance.steps(), 0),
            Err(_) => idle_polls += 1,
        }
    }
    let last = chance.last_steps();
    Err(format!("waits without progress after {} steps, the last of them {last}", chance.steps()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Fault;

    fn run<T>(turn: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(turn)
    }

    #[test]
    fn a_turn_that_calls_its_ports_for_ever_is_ended_and_its_last_steps_are_named() {
        let chance = Chance::from_seed(1);
        let asks = async {
            loop {
                chance.injects(Fault::ReadFails);
                chance.injects(Fault::CommitUnknown);
                tokio::task::yield_now().await;
            }
        };
        let said = run(watch(&chance, asks)).map(|(): ()| ()).unwrap_err();
        assert!(said.contains("has no end") && said.contains("CommitUnknown, ReadFails"), "{said}");
    }

    #[test]
    fn a_turn_that_waits_for_ever_is_ended() {
        let chance = Chance::from_seed(1);
        let waits = async {
            chance.injects(Fault::PollFails);
            std::future::pending::<()>().await;
        };
        let said = run(watch(&chance, waits)).unwrap_err();
        assert_eq!(said, "waits without progress after 1 steps, the last of them PollFails");
    }

    #[test]
    fn a_slow_turn_that_makes_progress_is_not_ended() {
        let chance = Chance::from_seed(1);
        let slow = async {
            for _ in 0..10 {
                tokio::time::sleep(POLL_INTERVAL * (IDLE_POLLS - 1)).await;
                chance.injects(Fault::ReadFails);
            }
        };
        assert_eq!(run(watch(&chance, slow)), Ok(()));
    }
}
