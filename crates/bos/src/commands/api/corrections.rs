//! Which words a spellcheck changed, found by comparing the two texts: no event and no table contains a pupil's words.

use std::str::SplitWhitespace;

use imara_diff::{Algorithm, Diff, InternedInput, TokenSource};
use serde::Serialize;

/// One replacement of words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Correction {
    /// The words as the pupil wrote them.
    pub(crate) from: String,
    /// The words as they were corrected.
    pub(crate) to: String,
}

/// A text as its words. White space is not compared.
struct Words<'a>(&'a str);

impl<'a> TokenSource for Words<'a> {
    type Token = &'a str;
    type Tokenizer = SplitWhitespace<'a>;

    fn tokenize(&self) -> Self::Tokenizer {
        self.0.split_whitespace()
    }

    fn estimate_tokens(&self) -> u32 {
        // Six letters and a space, about; it only reserves memory.
        u32::try_from(self.0.len() / 7).unwrap_or(u32::MAX)
    }
}

/// Finds the changed words, in the order of the text.
pub(crate) fn between(original: &str, corrected: &str) -> Vec<Correction> {
    let words = InternedInput::new(Words(original), Words(corrected));
    let of = |side: &[imara_diff::Token], changed: std::ops::Range<u32>| -> Vec<&str> {
        let changed = side.get(changed.start as usize..changed.end as usize).unwrap_or_default();
        changed.iter().map(|word| words.interner[*word]).collect()
    };
    let mut corrections = Vec::new();
    for change in Diff::compute(Algorithm::Histogram, &words).hunks() {
        pair(&mut corrections, of(&words.before, change.before), &of(&words.after, change.after));
    }
    corrections
}

/// Pairs adjacent changed words: one for one, or two for one (`alot→a lot`) where two are more similar to the original.
fn pair(corrections: &mut Vec<Correction>, from: Vec<&str>, mut to: &[&str]) {
    let mut rest = from.len();
    for word in from {
        let surplus = to.len().saturating_sub(rest);
        rest -= 1;
        let similarity = |count: usize| {
            let joined: String = to.iter().take(count).copied().collect();
            strsim::normalized_levenshtein(word, &joined)
        };
        let takes = if rest == 0 {
            to.len()
        } else if surplus > 0 && similarity(2) > similarity(1) {
            2
        } else {
            to.len().min(1)
        };
        let (own, others) = to.split_at(takes);
        to = others;
        corrections.push(Correction { from: bare(word), to: bare(&own.join(" ")) });
    }
}

/// A word without the punctuation around it.
fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

/// Formats the first corrections for a column of `width` characters: `recieve→receive, teh→the, …`. At least one is shown,
/// and equal ones are shown once.
pub(crate) fn shown(corrections: &[Correction], width: usize) -> String {
    let mut different: Vec<&Correction> = Vec::new();
    for correction in corrections {
        if !different.contains(&correction) {
            different.push(correction);
        }
    }
    let mut text = String::new();
    for (number, correction) in different.iter().enumerate() {
        let next = format!("{}→{}", correction.from, correction.to);
        let rest = if number + 1 < different.len() { ", …" } else { "" };
        let needed = text.chars().count() + 2 + next.chars().count() + rest.chars().count();
        if number > 0 && needed > width {
            return text + ", …";
        }
        if number > 0 {
            text.push_str(", ");
        }
        text.push_str(&next);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{between, shown};

    #[test]
    fn corrected_words_are_found_in_the_order_of_the_text() {
        let corrections = between(
            "I recieve alot of\r\nmail,  and teh wich dont.",
            "I receive a lot of\r\nmail,  and the witch don't.",
        );
        let expected = "recieve→receive, alot→a lot, teh→the, wich→witch, dont→don't";
        assert_eq!(shown(&corrections, expected.chars().count()), expected);
        assert_eq!(shown(&corrections, 30), "recieve→receive, alot→a lot, …");
        assert_eq!(shown(&corrections, 0), "recieve→receive, …");
    }

    #[test]
    fn a_repeated_correction_is_shown_once() {
        let corrections = between("i see that i am, dont i", "I see that I am, don't I");
        assert_eq!(corrections.len(), 4);
        assert_eq!(shown(&corrections, 80), "i→I, dont→don't");
    }

    #[test]
    fn the_same_text_has_no_corrections() {
        assert!(between("Å, så fint.\n", "Å, så fint.\n").is_empty());
    }
}
