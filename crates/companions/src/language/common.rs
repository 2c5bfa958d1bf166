//! The most common English words, in three sizes. They decide which of several corrections is likelier.

use std::{collections::HashMap, sync::LazyLock};

/// How much longer or shorter than the misspelling a candidate may be, in letters, and how many edits away.
const MAX_EDITS: usize = 2;

/// How common a word is, from SCOWL's sizes (<http://wordlist.aspell.net/scowl-readme/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Commonness {
    /// Size 10: the 4,000 words that carry a text.
    Everyday,
    /// Size 20: 7,000 more.
    Frequent,
    /// Size 35: 29,000 more, about what a school dictionary holds.
    Familiar,
    /// Everything else.
    Rare,
}

struct Entry {
    word: &'static str,
    length: usize,
    letters: u32,
}

/// The common words, with what is needed to find the ones near a misspelling without comparing it with each.
pub(super) struct CommonWords {
    entries: Vec<Entry>,
    commonness: HashMap<&'static str, Commonness>,
}

/// The one list, built at its first use.
pub(super) static ENGLISH: LazyLock<CommonWords> = LazyLock::new(|| {
    CommonWords::new(&[
        (Commonness::Everyday, include_str!("../../dictionaries/en/common_10.txt")),
        (Commonness::Frequent, include_str!("../../dictionaries/en/common_20.txt")),
        (Commonness::Familiar, include_str!("../../dictionaries/en/common_35.txt")),
    ])
});

impl CommonWords {
    fn new(lists: &[(Commonness, &'static str)]) -> Self {
        let commonness: HashMap<_, _> =
            lists.iter().flat_map(|(size, list)| list.lines().map(|word| (word, *size))).collect();
        let mut entries: Vec<_> = commonness
            .keys()
            .map(|word| Entry { word, length: word.chars().count(), letters: letters(word) })
            .collect();
        entries.sort_unstable_by_key(|entry| entry.word);
        Self { entries, commonness }
    }

    /// How common `word` is, in exactly this case.
    pub(super) fn commonness(&self, word: &str) -> Commonness {
        self.commonness.get(word).copied().unwrap_or(Commonness::Rare)
    }

    /// The common words at most two edits from `word`, in alphabetical order.
    pub(super) fn near<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'static str> + 'a {
        let (length, mask) = (word.chars().count(), letters(word));
        self.entries
            .iter()
            .filter(move |entry| entry.length.abs_diff(length) <= MAX_EDITS)
            // An edit takes at most one letter away and brings at most one: two edits change four at most.
            .filter(move |entry| (entry.letters ^ mask).count_ones() as usize <= 2 * MAX_EDITS)
            .map(|entry| entry.word)
            .filter(move |candidate| within_reach(word, candidate))
    }
}

/// Whether at most two edits lead from `word` to `candidate`, ignoring case: a letter inserted, deleted or
/// replaced, or two adjacent letters transposed (optimal string alignment, Damerau 1964,
/// <https://doi.org/10.1145/363958.363994>).
pub(super) fn within_reach(word: &str, candidate: &str) -> bool {
    strsim::osa_distance(&word.to_lowercase(), &candidate.to_lowercase()) <= MAX_EDITS
}

/// Which letters occur in `word`, a bit each for a to z; all others share the remaining bits.
fn letters(word: &str) -> u32 {
    word.chars().flat_map(char::to_lowercase).fold(0, |mask, letter| {
        let bit =
            if letter.is_ascii_lowercase() { letter as u32 - 'a' as u32 } else { 26 + letter as u32 % 6 };
        mask | 1 << bit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_lose_no_word_within_reach() {
        for misspelling in ["becuase", "dont", "wensday", "i", "xqzzt", "realy", "dissapear"] {
            let slow: Vec<_> =
                ENGLISH.entries.iter().map(|e| e.word).filter(|w| within_reach(misspelling, w)).collect();
            assert_eq!(ENGLISH.near(misspelling).collect::<Vec<_>>(), slow, "{misspelling}");
        }
    }

    #[test]
    fn everyday_words_come_before_familiar_ones() {
        assert_eq!(ENGLISH.commonness("which"), Commonness::Everyday);
        assert!(ENGLISH.commonness("which") < ENGLISH.commonness("witch"));
        assert_eq!(ENGLISH.commonness("xqzzt"), Commonness::Rare);
    }
}
