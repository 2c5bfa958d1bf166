//! Translation between the platform's messages (`contract`) and the words of the rules (`domain`). No other file uses both.

pub(crate) mod from;
pub(crate) mod to;

pub use from::{Expectation, courses, expected_evidence};
