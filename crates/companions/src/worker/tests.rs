use std::sync::Mutex;

use super::*;
use crate::testing::{MemoryBus, StillClock, id, provisioned};

const READER: Reader = Reader { consumer: "test", topics: &[Topic::EssayContentProvisioned], limit: 2 };

/// Fails `failures` times, and records its turns and the clearing of its cache.
struct Notes {
    failures: usize,
    taken: Arc<Mutex<Vec<String>>>,
    stop_after: i64,
    stop: CancellationToken,
}

#[async_trait]
impl Work for Notes {
    async fn turn(&mut self, deliveries: Vec<Delivery>) -> Result<(), TurnError> {
        let offsets: Vec<_> = deliveries.iter().map(|delivery| delivery.offset).collect();
        if self.failures > 0 {
            self.failures -= 1;
            self.taken.lock().unwrap().push(format!("failed {offsets:?}"));
            return Err(TurnError::Database(Error::Closed));
        }
        self.taken.lock().unwrap().push(format!("did {offsets:?}"));
        if offsets.contains(&self.stop_after) {
            self.stop.cancel();
        }
        Ok(())
    }

    fn clear_cache(&mut self) {
        self.taken.lock().unwrap().push("forgot".to_owned());
    }
}

/// Runs until the record `last` is processed; returns the recorded calls and the back-offs in milliseconds.
async fn play(bus: &MemoryBus, failures: usize, last: i64) -> (Vec<String>, Vec<u128>) {
    let clock = Arc::new(StillClock::default());
    let notes = Arc::<Mutex<Vec<String>>>::default();
    let stop = CancellationToken::new();
    let work = Notes { failures, taken: Arc::clone(&notes), stop_after: last, stop: stop.clone() };
    let given = Bus { broker: Arc::new(bus.clone()), clock: Arc::<StillClock>::clone(&clock) };
    run(READER, work, given, stop).await;
    let slept = clock.slept.lock().unwrap().iter().map(Duration::as_millis).collect();
    (notes.lock().unwrap().clone(), slept)
}

fn with_records(count: u128) -> MemoryBus {
    let bus = MemoryBus::default();
    bus.append((0..count).map(|number| provisioned(id(100), id(number), "t")));
    bus
}

#[tokio::test]
async fn a_failed_turn_is_repeated_after_a_growing_back_off() {
    let (notes, pauses) = play(&with_records(3), 8, 2).await;
    let expected = [["failed [0, 1]", "forgot"]; 8].concat().into_iter().chain(["did [0, 1]", "did [2]"]);
    assert_eq!(notes, expected.collect::<Vec<_>>());
    assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
}

#[tokio::test]
async fn a_failed_subscription_is_retried() {
    let bus = with_records(1);
    bus.fail_subscribes(3);
    let (notes, pauses) = play(&bus, 0, 0).await;
    assert_eq!(notes, ["did [0]"]);
    assert_eq!(pauses, [100, 200, 400]);
}

#[tokio::test]
async fn a_failed_offset_commit_redelivers_the_records() {
    let bus = with_records(3);
    bus.fail_commits(1);
    let (notes, pauses) = play(&bus, 0, 2).await;
    assert_eq!(notes, ["did [0, 1]", "forgot", "did [0, 1]", "did [2]"]);
    assert_eq!(pauses, [100]);
}
