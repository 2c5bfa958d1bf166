//! Chance, repeatable: the same seed draws the same words.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// Stands in every value out of a request that no problem may repeat. It does not look like the name of a field.
pub(super) const VALUE: &str = "canary in a coal mine";
/// Stands in every text of an essay, which no answer at all may repeat but the one that is asked for it.
pub(super) const TEXT: &str = "magpie in a school yard";

/// Words that readers, databases or terminals treat differently from others.
const ODD: [&str; 26] = [
    "",
    " ",
    "\t\r\n",
    "\u{0}",
    "a\u{0}b",
    "\u{1}\u{1b}[2J",
    "\u{7f}",
    "\u{85}\u{2028}",
    "\u{feff}",
    "\u{200b}\u{200d}",
    "\u{202e}abc",
    "\u{ffff}\u{fffd}",
    "e\u{301}te\u{301}",
    "\u{1f469}\u{200d}\u{1f393}",
    "İıß",
    "null",
    "true",
    "-0",
    "1e400",
    "NaN",
    "'; DROP TABLE batches; --",
    "100\\% \\u0000 \"",
    "{\"$ref\": \"#\"}",
    "../../etc/passwd",
    "%00%ff%",
    "${jndi:ldap://a}",
];

/// Lengths at which something ends: short texts, keys, pages, instructions, essays.
const EDGES: [usize; 10] = [64, 65, 200, 201, 255, 256, 4_096, 20_001, 200_000, 200_001];

pub(super) struct Dice(TestRunner);

impl Dice {
    pub(super) fn of(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self(TestRunner::new_with_rng(ProptestConfig::default(), rng))
    }

    pub(super) fn draw<S: Strategy>(&mut self, of: &S) -> S::Value {
        of.new_tree(&mut self.0).unwrap().current()
    }

    /// A number below another.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.draw(&(0..end))
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Any word at all, the odd ones more often than others.
    pub(super) fn odd_word(&mut self) -> String {
        match self.below(8) {
            0..5 => self.pick(&ODD).to_owned(),
            5..7 => self.draw(&any::<String>()),
            _ => {
                let letter = self.pick(&["x", "å", " ", "\u{1f642}"]);
                letter.repeat(self.pick(&EDGES) / letter.len())
            }
        }
    }

    /// The same, with what must not come back.
    pub(super) fn odd_value(&mut self) -> String {
        let word = self.odd_word();
        if self.once_in(3) { word } else { format!("{word} {VALUE}") }
    }

    pub(super) fn bytes(&mut self) -> Vec<u8> {
        self.draw(&prop::collection::vec(any::<u8>(), 0..200))
    }
}
