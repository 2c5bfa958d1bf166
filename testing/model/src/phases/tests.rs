use super::{Flaw, Phases};
use crate::testing::{assert_holds, found};

const TOO_EARLY: &str = "no command comes before the phase before it is finished";
const STUCK: &str = "where nothing more can happen, every phase is over";

#[test]
fn a_phase_ends_once_and_no_command_overtakes_the_outcome() {
    assert_holds(Phases { flaw: None }, &[]);
}

#[test]
fn a_phase_that_ends_by_results_lets_its_successors_command_come_too_early() {
    assert_eq!(found(Phases { flaw: Some(Flaw::EndsByResults) }), TOO_EARLY);
}

#[test]
fn a_forgotten_command_that_is_not_sent_again_leaves_the_phase_open() {
    assert_eq!(found(Phases { flaw: Some(Flaw::NoResend) }), STUCK);
}

#[test]
fn a_command_that_is_sent_again_under_its_event_id_stays_forgotten() {
    assert_eq!(found(Phases { flaw: Some(Flaw::SameEventId) }), STUCK);
}

#[test]
fn a_lost_outcome_leaves_the_phase_open_where_the_lifecycle_service_is_never_asked() {
    assert_eq!(found(Phases { flaw: Some(Flaw::NeverAsks) }), STUCK);
}
