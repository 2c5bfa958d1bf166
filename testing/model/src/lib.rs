//! What the relay and the consumer do, as models small enough for a checker to visit every state they can reach.
//!
//! The tests of the engine show that the code does what it should in the order they chose; these models show that the rules it
//! follows hold in every order: [`relay`] (outbox, heads of keys, leases, a bus that loses, answers late or not at all, crashes)
//! and [`inbox`] (redelivery, rebalance, crashes between the database's commit and the position's). Each can also be built with
//! a [flaw](relay::Flaw), one rule left out, and a test shows that the checker finds what comes of it: the rule is needed, and
//! the property is able to fail.
//!
//! Time is not modelled. Whatever a clock may bring about (a lease runs out, a send times out) may happen at any moment, so a
//! property that holds here holds for every setting of every time-out.

pub mod inbox;
pub mod relay;
#[cfg(test)]
mod testing;
