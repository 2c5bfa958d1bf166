//! Repeatable random choices: the same seed draws the same values.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// Part of the request values that no problem may repeat. It is not a valid field name.
pub(super) const VALUE: &str = "canary in a coal mine";
/// Part of every essay text, which no answer may repeat except that of `GET /v1/content`.
pub(super) const TEXT: &str = "magpie in a school yard";

/// Texts that parsers, databases or terminals treat specially.
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

/// Lengths at and just above limits: labels, short texts, keys, instructions, essays.
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

    /// A number from 0 to `end - 1`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.draw(&(0..end))
    }

    /// True with a probability of 1 in `times`.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// An arbitrary text, mostly one of the special ones.
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

    /// The same, mostly with [`VALUE`], which must not be repeated.
    pub(super) fn odd_value(&mut self) -> String {
        let word = self.odd_word();
        if self.once_in(3) { word } else { format!("{word} {VALUE}") }
    }

    pub(super) fn bytes(&mut self) -> Vec<u8> {
        self.draw(&prop::collection::vec(any::<u8>(), 0..200))
    }
}
