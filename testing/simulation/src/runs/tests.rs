use super::{run, run_many};
use crate::Sabotage;
use invariants::Invariant;

#[test]
fn every_invariant_holds_under_the_faults_of_40_seeds() {
    let mut report = run_many(1, 40);
    assert!(report.passed(), "{}", report.text(1, std::time::Duration::ZERO));
}

#[test]
fn a_seed_reproduces_its_run() {
    for seed in 1..=5 {
        let (once, again) = (run(seed, None, false).unwrap(), run(seed, None, false).unwrap());
        assert_eq!(
            (once.digest, once.turns, once.simulated, once.tally),
            (again.digest, again.turns, again.simulated, again.tally),
            "seed {seed}"
        );
    }
}

/// Whether the checker reports a violation of `broken` in one of 60 seeds with this sabotage.
fn finds(sabotage: Sabotage, broken: Invariant) -> bool {
    (1..=60).any(|seed| {
        let outcome = run(seed, Some(sabotage), false).unwrap();
        outcome.findings.violations.iter().any(|finding| finding.invariant == broken)
    })
}

#[test]
fn a_bus_that_drops_acknowledged_records_is_found() {
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
fn an_offset_that_is_committed_before_the_database_is_found() {
    assert!(finds(Sabotage::AdvancesFirst, Invariant::I9));
}

#[test]
fn timers_that_never_fire_are_found() {
    assert!(finds(Sabotage::ForgetsTimers, Invariant::I8));
}

#[test]
fn a_turn_without_end_is_found_and_does_not_hang() {
    assert!(finds(Sabotage::NeverAnswers, Invariant::S4));
}
