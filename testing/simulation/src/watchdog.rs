//! A turn that gets nowhere fails its seed, with what was going on, instead of hanging.
//!
//! Two things keep a turn from its end. It may ask its ports for more and more: each time chance is asked whether something goes
//! wrong, and so many times are too many. Or it may wait for what nobody will ever say: then nothing is asked and nothing
//! ready for far longer than a database takes. A loop that asks nobody anything is neither, and would still hang.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

use crate::chance::Chance;

/// Questions that a turn asks chance at most; the longest ones ask some hundreds.
const STEPS: u64 = 20_000;
/// Real time between two looks at a turn that waits. Looks are counted rather than time, since a machine that is stopped
/// for a while is no turn that waits.
const LOOK: Duration = Duration::from_secs(1);
/// Looks in a row at which nothing has happened.
const LOOKS: u32 = 60;

/// Takes a turn to its end. Says what was going on when it does not come to one.
pub async fn watch<T>(chance: &Chance, turn: impl Future<Output = T>) -> Result<T, String> {
    chance.begin_turn();
    let mut turn = pin!(turn);
    let mut within_steps = pin!(std::future::poll_fn(|context| match turn.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if chance.steps() > STEPS => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    }));
    let (mut steps, mut looks) = (0, 0);
    while looks < LOOKS {
        match timeout(LOOK, within_steps.as_mut()).await {
            Ok(Some(done)) => return Ok(done),
            Ok(None) => {
                return Err(format!(
                    "has no end after {STEPS} steps, the last of them {}",
                    chance.last_steps()
                ));
            }
            Err(_) if chance.steps() > steps => (steps, looks) = (chance.steps(), 0),
            Err(_) => looks += 1,
        }
    }
    let last = chance.last_steps();
    Err(format!("waits for what does not come, after {} steps, the last of them {last}", chance.steps()))
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
    fn a_turn_that_asks_for_ever_is_ended_with_what_it_asked_for() {
        let chance = Chance::of(1);
        let asks = async {
            loop {
                chance.strikes(Fault::ReadFails);
                chance.strikes(Fault::CommitUnknown);
                tokio::task::yield_now().await;
            }
        };
        let said = run(watch(&chance, asks)).map(|(): ()| ()).unwrap_err();
        assert!(said.contains("has no end") && said.contains("CommitUnknown, ReadFails"), "{said}");
    }

    #[test]
    fn a_turn_that_waits_for_ever_is_ended_too() {
        let chance = Chance::of(1);
        let waits = async {
            chance.strikes(Fault::PollFails);
            std::future::pending::<()>().await;
        };
        let said = run(watch(&chance, waits)).unwrap_err();
        assert_eq!(said, "waits for what does not come, after 1 steps, the last of them PollFails");
    }

    #[test]
    fn a_turn_that_takes_long_and_gets_on_is_left_alone() {
        let chance = Chance::of(1);
        let slow = async {
            for _ in 0..10 {
                tokio::time::sleep(LOOK * (LOOKS - 1)).await;
                chance.strikes(Fault::ReadFails);
            }
        };
        assert_eq!(run(watch(&chance, slow)), Ok(()));
    }
}
