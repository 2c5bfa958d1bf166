use super::{Consumers, Flaw};
use crate::testing::{assert_holds, found};

#[test]
fn every_event_is_applied_once_and_the_committed_offset_never_leads() {
    assert_holds(Consumers { flaw: None }, &[]);
}

#[test]
fn an_offset_that_is_committed_first_leads_the_database() {
    assert_eq!(
        found(Consumers { flaw: Some(Flaw::OffsetFirst) }),
        "the committed offset never leads the database"
    );
}

#[test]
fn without_an_inbox_events_are_applied_twice() {
    assert_eq!(found(Consumers { flaw: Some(Flaw::NoInbox) }), "no event is applied twice");
}

#[test]
fn an_inbox_in_a_transaction_of_its_own_loses_events() {
    assert_eq!(
        found(Consumers { flaw: Some(Flaw::InboxApart) }),
        "the committed offset never leads the database"
    );
}
