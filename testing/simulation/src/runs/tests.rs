use super::{run, run_many};
use crate::Sabotage;
use crate::check::Invariant;

#[test]
fn every_promise_is_kept_under_the_faults_of_some_seeds() {
    let mut report = run_many(1, 40);
    assert!(report.passed(), "{}", report.text(1, std::time::Duration::ZERO));
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 1..=5 {
        let (once, again) = (run(seed, None, false).unwrap(), run(seed, None, false).unwrap());
        assert_eq!(
            (once.digest, once.turns, once.simulated, once.tally),
            (again.digest, again.turns, again.simulated, again.tally),
            "seed {seed}"
        );
    }
}

/// Whether the checks find this broken in one of some seeds with this sabotage.
fn finds(sabotage: Sabotage, broken: Invariant) -> bool {
    (1..=60).any(|seed| {
        let outcome = run(seed, Some(sabotage), false).unwrap();
        outcome.findings.violations.iter().any(|(invariant, _)| *invariant == broken)
    })
}

#[test]
fn a_bus_that_drops_what_it_acknowledged_is_found() {
    assert!(finds(Sabotage::LosesAcknowledged, Invariant::I6));
}

#[test]
fn an_event_that_was_never_committed_is_found() {
    assert!(finds(Sabotage::InventsEvents, Invariant::I6));
}

#[test]
fn bytes_that_change_are_found() {
    assert!(finds(Sabotage::ChangesBytes, Invariant::I4));
}

#[test]
fn a_record_that_overtakes_another_of_its_key_is_found() {
    assert!(finds(Sabotage::Overtakes, Invariant::I5));
}

#[test]
fn a_place_that_is_committed_before_the_database_is_found() {
    assert!(finds(Sabotage::AdvancesFirst, Invariant::I9));
}

#[test]
fn timers_that_never_fire_are_found() {
    assert!(finds(Sabotage::ForgetsTimers, Invariant::I8));
}

#[test]
fn a_turn_that_gets_nowhere_is_found_and_does_not_hang() {
    assert!(finds(Sabotage::NeverAnswers, Invariant::Turn));
}
