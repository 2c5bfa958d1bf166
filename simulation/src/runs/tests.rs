use super::{run, run_many};
use crate::Sabotage;
use crate::check::Invariant;

#[test]
fn every_promise_is_kept_under_the_faults_of_some_seeds() {
    let mut report = run_many(1, 60);
    assert!(report.passed(), "{}", report.text(1, std::time::Duration::ZERO));
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 1..=8 {
        let (once, again) = (run(seed, None, false).unwrap(), run(seed, None, false).unwrap());
        assert_eq!(
            (once.digest, once.turns, once.simulated, once.tally),
            (again.digest, again.turns, again.simulated, again.tally),
            "seed {seed}"
        );
    }
}

/// What the checks find wrong in some seeds with this sabotage.
fn found(sabotage: Sabotage) -> Vec<Invariant> {
    let mut found = Vec::new();
    for seed in 1..=40 {
        let outcome = run(seed, Some(sabotage), false).unwrap();
        for (invariant, _) in outcome.findings.violations {
            if !found.contains(&invariant) {
                found.push(invariant);
            }
        }
    }
    eprintln!("{sabotage:?} {found:?}");
    found
}

#[test]
fn a_bus_that_drops_what_it_acknowledged_is_found() {
    assert!(found(Sabotage::LosesAcknowledged).contains(&Invariant::I6));
}

#[test]
fn an_event_that_was_never_committed_is_found() {
    assert!(found(Sabotage::InventsEvents).contains(&Invariant::I6));
}

#[test]
fn bytes_that_change_are_found() {
    assert!(found(Sabotage::ChangesBytes).contains(&Invariant::I4));
}

#[test]
fn a_record_that_overtakes_another_of_its_key_is_found() {
    assert!(found(Sabotage::Overtakes).contains(&Invariant::I5));
}

#[test]
fn a_place_that_is_committed_before_the_database_is_found() {
    assert!(found(Sabotage::AdvancesFirst).contains(&Invariant::I9));
}

#[test]
fn timers_that_never_fire_are_found() {
    assert!(found(Sabotage::ForgetsTimers).contains(&Invariant::I8));
}
