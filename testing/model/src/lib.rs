//! Models of the relay and of the consumer that are small enough for a model checker to visit every reachable
//! state.
//!
//! The tests of the engine show that the code is correct in the orders of events that they choose. These
//! models show that its rules are correct in every order: [`relay`] (outbox, heads of keys, leases, crashes,
//! and a bus that loses records, answers late or not at all), [`inbox`] (redelivery, rebalance, crashes
//! between the commit of the database and that of the offset) and [`phases`] (late and lost outcomes, and a
//! lifecycle service that forgets commands). Each model can also be built with a
//! [flaw](relay::Flaw), one rule left out. A test shows that the checker finds its consequence: the rule is
//! needed, and the property can fail.
//!
//! Time is not modelled. Whatever a clock may cause (a lease expires, a send times out) may happen at any
//! moment, so a property that holds here holds for every setting of every time-out.

pub mod inbox;
pub mod phases;
pub mod relay;
#[cfg(test)]
mod testing;
