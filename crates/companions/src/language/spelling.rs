//! Corrects a text: which words are checked, and that nothing else changes.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use unicode_normalization::UnicodeNormalization as _;

use super::{
    lexicon::{Lexicon, Place},
    words,
};

/// Different unknown words of one text that are looked up, at most. An essay has some dozens; a text with
/// more is not in the language, and the rest stays unchanged. This bounds the time per text: a look-up takes
/// about 0.1 ms in English and 2 to 8 ms in Swedish (measured).
const MAX_LOOKUPS: usize = 400;
/// The longest word that is looked up, in bytes.
const MAX_WORD_BYTES: usize = 48;

/// One change to a text.
#[derive(Clone, PartialEq, Eq)]
pub struct Correction {
    /// The misspelt word: a byte range of the original text.
    pub from: Range<usize>,
    /// The text that replaces it.
    pub replacement: String,
}

/// A text with its spelling corrected.
#[derive(Clone, PartialEq, Eq)]
pub struct Corrected {
    /// The whole corrected text.
    pub text: String,
    /// The changes, in the order of the text; they do not overlap.
    pub corrections: Vec<Correction>,
    /// The number of words of the original, counted as in [`Measures`](super::Measures).
    pub word_count: u32,
}

/// Shows sizes only, because essays must not be logged.
impl std::fmt::Debug for Correction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Correction").field("from", &self.from).finish_non_exhaustive()
    }
}

/// Shows sizes only, because essays must not be logged.
impl std::fmt::Debug for Corrected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Corrected")
            .field("bytes", &self.text.len())
            .field("corrections", &self.corrections.len())
            .field("word_count", &self.word_count)
            .finish_non_exhaustive()
    }
}

pub(super) fn correct(text: &str, lexicon: &Lexicon) -> Corrected {
    let (corrections, word_count) = Reader::new(text, lexicon).read();
    Corrected { text: applied(text, &corrections), corrections, word_count }
}

/// `text` with `corrections`, which are in order and do not overlap.
fn applied(text: &str, corrections: &[Correction]) -> String {
    let mut corrected = String::with_capacity(text.len() + 64);
    let mut kept_from = 0;
    for Correction { from, replacement } in corrections {
        corrected.push_str(text.get(kept_from..from.start).unwrap_or_default());
        corrected.push_str(replacement);
        kept_from = from.end;
    }
    corrected.push_str(text.get(kept_from..).unwrap_or_default());
    corrected
}

/// Reads one text and caches its look-ups.
struct Reader<'a> {
    text: &'a str,
    lexicon: &'a Lexicon,
    /// By the word in NFC, which is how dictionaries are written.
    meant: HashMap<(Cow<'a, str>, Place), Option<String>>,
    curly: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, lexicon: &'a Lexicon) -> Self {
        let curly = text.contains('’') && !text.contains('\'');
        Self { text, lexicon, meant: HashMap::new(), curly }
    }

    fn read(&mut self) -> (Vec<Correction>, u32) {
        let mut starts = words::sentence_starts(self.text).peekable();
        let mut corrections = Vec::new();
        let mut word_count = 0;
        for word in words::words(self.text) {
            word_count += 1;
            while starts.next_if(|start| *start < word.start).is_some() {}
            let opens = starts.next_if_eq(&word.start).is_some();
            let written = composed(word.text);
            let place = place(&written, opens);
            if let Some(replacement) = place.and_then(|place| self.correction(written, place)) {
                corrections.push(Correction { from: word.start..word.start + word.text.len(), replacement });
            }
        }
        (corrections, word_count)
    }

    fn correction(&mut self, word: Cow<'a, str>, place: Place) -> Option<String> {
        if self.lexicon.knows(&word) {
            return None;
        }
        let key = (word, place);
        if let Some(known) = self.meant.get(&key) {
            return known.clone();
        }
        if self.meant.len() >= MAX_LOOKUPS {
            return None;
        }
        let word = key.0.as_ref();
        let meant = self.lexicon.meant(word, place).map(|meant| self.in_the_text_s_apostrophes(word, &meant));
        self.meant.insert(key, meant.clone());
        meant
    }

    fn in_the_text_s_apostrophes(&self, word: &str, meant: &str) -> String {
        if self.curly || word.contains('’') { meant.replace('\'', "’") } else { meant.to_owned() }
    }
}

/// A word in NFC. Words of ASCII are.
fn composed(word: &str) -> Cow<'_, str> {
    if word.is_ascii() || word.len() > MAX_WORD_BYTES {
        word.into()
    } else {
        word.nfc().collect::<String>().into()
    }
}

/// How `word` may be changed; `None` if it is a name, an abbreviation, a number, an address or too long.
fn place(word: &str, opens_sentence: bool) -> Option<Place> {
    let plain = word.chars().all(|letter| letter.is_alphabetic() || matches!(letter, '\'' | '’'));
    if !plain || word.len() > MAX_WORD_BYTES {
        return None;
    }
    let mut letters = word.chars();
    let capital = letters.next().is_some_and(char::is_uppercase);
    if letters.any(char::is_uppercase) {
        return None;
    }
    match (capital, opens_sentence) {
        (false, _) => Some(Place::Inside),
        (true, true) => Some(Place::Opening),
        (true, false) => None,
    }
}

#[cfg(test)]
mod tests;
