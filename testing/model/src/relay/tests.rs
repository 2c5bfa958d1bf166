use super::{Flaw, KEYS, Relays};
use crate::testing::{assert_holds, found};

fn relays(messages: [usize; KEYS], flaw: Option<Flaw>) -> Relays {
    Relays { messages, flaw }
}

#[test]
fn three_messages_of_two_keys_are_neither_lost_nor_out_of_order_nor_phantoms() {
    assert_holds(relays([2, 1], None), &[]);
}

#[test]
fn three_messages_of_one_key_are_neither_lost_nor_out_of_order_nor_phantoms() {
    assert_holds(relays([3, 0], None), &[]);
}

#[test]
fn safety_does_not_rest_on_the_lease() {
    // Two relays that always work and never ask whether they may: more goes out twice, and nothing else changes.
    assert_holds(relays([2, 0], Some(Flaw::NoLease)), &["a lease changed hands and its old holder works on"]);
}

#[test]
fn sending_what_is_not_the_head_of_its_key_breaks_the_order() {
    assert_eq!(found(relays([2, 1], Some(Flaw::AnyRow))), "first occurrences of a key ascend");
}

#[test]
fn numbers_that_are_not_given_out_under_the_lock_break_the_order() {
    assert_eq!(found(relays([2, 1], Some(Flaw::NoLock))), "first occurrences of a key ascend");
}

#[test]
fn sending_before_the_commit_makes_phantoms() {
    assert_eq!(found(relays([2, 1], Some(Flaw::BeforeCommit))), "what is on the topic was committed");
}

#[test]
fn deleting_before_the_acknowledgement_loses_messages() {
    assert_eq!(found(relays([2, 1], Some(Flaw::DeletedWhenSent))), "what is archived is on the topic");
}
