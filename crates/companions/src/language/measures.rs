//! Measures of a text: length, variety and readability.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization as _;

use super::{Language, syllables, words};

/// The figures of a text. Every figure is finite, and 0 for a text without words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// Words: the segments of UAX #29 that hold a letter or a digit; an address counts as one.
    pub words: u32,
    /// Sentences: those of UAX #29 in which a word begins, wrapped lines joined; a full stop before a forgotten capital
    /// ends one too.
    pub sentences: u32,
    /// Words per sentence.
    pub mean_sentence_length: f64,
    /// Different words, case aside, over words: 0 to 1; falls with the length of a text (Templin 1957, *Certain Language
    /// Skills in Children*), so compare texts of like length.
    pub type_token_ratio: f64,
    /// LIX = words / sentences + 100 × long words / words, long being more than six letters (Björnsson 1968, *Läsbarhet*).
    /// Below 30 very easy, above 60 very hard. Sentences here are those above; Björnsson also counted colons.
    pub lix: f64,
    /// Flesch reading ease = 206.835 − 1.015 × words / sentences − 84.6 × syllables / words (Flesch 1948, "A new readability
    /// yardstick", <https://doi.org/10.1037/h0057532>); above 90 very easy, below 30 very hard. English only: its weights
    /// were fitted to English. Syllables are estimated from the spelling.
    pub flesch: Option<f64>,
}

/// Measures `text`. Needs no dictionary and does not fail. The figures are those of the text in Unicode's form NFC, so a text has
/// the same ones whether its keyboard composes letters with their accents or not.
pub fn measure(text: &str, language: Language) -> Measures {
    let text: &str = &text.nfc().collect::<String>();
    let mut words = 0;
    let mut long_words = 0;
    let mut syllables = 0;
    let mut different = HashSet::new();
    for word in words::words(text) {
        words += 1;
        long_words += u32::from(is_long(word.text));
        syllables += syllables::count(word.text);
        different.insert(word.text.to_lowercase().replace('’', "'"));
    }
    let sentences = count(words::sentences(text));
    let mean_sentence_length = ratio(words, sentences);
    let reading_ease = || 206.835 - 1.015 * mean_sentence_length - 84.6 * ratio(syllables, words);
    Measures {
        words,
        sentences,
        mean_sentence_length,
        type_token_ratio: ratio(count(different.len()), words),
        lix: mean_sentence_length + 100.0 * ratio(long_words, words),
        flesch: (language == Language::English).then(|| if words == 0 { 0.0 } else { reading_ease() }),
    }
}

fn is_long(word: &str) -> bool {
    word.chars().filter(|letter| letter.is_alphanumeric()).count() > 6
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn ratio(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn the_cat_on_the_mat_by_hand() {
        // 6 words, 1 sentence, 5 different, no long word, 6 syllables.
        let measures = measure("The cat sat on the mat.", Language::English);
        assert_eq!((measures.words, measures.sentences), (6, 1));
        assert!(close(measures.mean_sentence_length, 6.0));
        assert!(close(measures.type_token_ratio, 5.0 / 6.0));
        assert!(close(measures.lix, 6.0));
        assert!(close(measures.flesch.unwrap(), 206.835 - 1.015 * 6.0 - 84.6));
    }

    #[test]
    fn a_swedish_text_by_hand() {
        // 8 words, 2 sentences, 8 different; long: eleverna, skriver, uppsatser, läraren.
        let measures = measure("Eleverna skriver sina uppsatser nu. Läraren läser dem.", Language::Swedish);
        assert_eq!((measures.words, measures.sentences), (8, 2));
        assert!(close(measures.mean_sentence_length, 4.0));
        assert!(close(measures.type_token_ratio, 1.0));
        assert!(close(measures.lix, 4.0 + 50.0));
        assert_eq!(measures.flesch, None);
    }

    #[test]
    fn letters_make_a_word_long_and_bytes_do_not() {
        assert!(!is_long("åäöåäö"));
        assert!(is_long("läraren"));
        assert!(!is_long("can't've"), "six letters and two apostrophes");
    }

    #[test]
    fn composed_and_decomposed_letters_measure_the_same() {
        for text in
            ["Café naïve.", "Läraren läser uppsatsen. Über allé!", "Zoë, Łukasz and Nguyễn realised it."]
        {
            let decomposed: String = text.nfd().collect();
            assert_ne!(text, decomposed);
            for language in [Language::English, Language::Swedish] {
                assert_eq!(measure(text, language), measure(&decomposed, language), "{text}");
            }
        }
    }

    #[test]
    fn a_text_without_words_measures_zero() {
        let measures = measure(" \r\n\t …!? ", Language::English);
        assert_eq!((measures.words, measures.sentences), (0, 0));
        assert!(close(measures.lix, 0.0));
        assert_eq!(measures.flesch, Some(0.0));
    }

    proptest! {
        #[test]
        fn every_figure_of_every_text_is_finite_and_in_range(text in any::<String>()) {
            let measures = measure(&text, Language::English);
            prop_assert!(measures.sentences <= measures.words);
            prop_assert!((0.0..=1.0).contains(&measures.type_token_ratio));
            prop_assert!(measures.lix.is_finite() && measures.lix >= 0.0);
            prop_assert!(measures.flesch.unwrap().is_finite());
        }
    }
}
