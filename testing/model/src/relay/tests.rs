use super::{Flaw, KEYS, Relays};
use crate::testing::{assert_holds, found};

fn relays(messages: [usize; KEYS], flaw: Option<Flaw>) -> Relays {
    Relays { messages, flaw }
}

#[test]
fn three_messages_of_two_keys_are_neither_lost_nor_reordered_nor_phantoms() {
    assert_holds(relays([2, 1], None), &[]);
}

#[test]
fn three_messages_of_one_key_are_neither_lost_nor_reordered_nor_phantoms() {
    assert_holds(relays([3, 0], None), &[]);
}

#[test]
fn safety_does_not_depend_on_the_lease() {
    // Two relays that always work and never check the lease: more messages are sent twice, and nothing else
    // changes.
    assert_holds(relays([2, 0], Some(Flaw::NoLease)), &["a relay works on after losing its lease"]);
}

#[test]
fn sending_a_row_that_is_not_the_first_of_its_key_breaks_the_order() {
    assert_eq!(found(relays([2, 1], Some(Flaw::AnyRow))), "first occurrences of a key ascend");
}

#[test]
fn assigning_numbers_without_the_lock_breaks_the_order() {
    assert_eq!(found(relays([2, 1], Some(Flaw::NoLock))), "first occurrences of a key ascend");
}

#[test]
fn sending_before_the_commit_creates_phantoms() {
    assert_eq!(found(relays([2, 1], Some(Flaw::BeforeCommit))), "a message on the topic was committed");
}

#[test]
fn archiving_before_the_acknowledgement_loses_messages() {
    assert_eq!(found(relays([2, 1], Some(Flaw::ArchivedWhenSent))), "an archived message is on the topic");
}
