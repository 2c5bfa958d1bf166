//! Counts the syllables of an English word without a pronunciation dictionary.

use super::edits::is_vowel;

/// The number of syllables, at least 1: the groups of vowels (`y` is one), minus a silent `e` at the end
/// (*make*, *makes*, but *table*, *boxes*) and a silent `-ed` (*walked*, but *wanted*). A silent `e` inside a
/// word is counted (*homework* counts three), so the reading ease of an essay is a point or two too low.
pub(super) fn count(word: &str) -> u32 {
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphabetic()).collect();
    let groups = word.iter().fold((0_u32, false), |(count, in_vowels), &letter| {
        (count + u32::from(is_vowel(letter) && !in_vowels), is_vowel(letter))
    });
    groups.0.saturating_sub(u32::from(ends_silently(&word))).max(1)
}

fn ends_silently(word: &[char]) -> bool {
    match word {
        [.., 's' | 'x' | 'z' | 'h' | 'c' | 'g', 'e', 's'] | [.., 't' | 'd', 'e', 'd'] => false,
        [stem @ .., 'e'] | [stem @ .., 'e', 's' | 'd'] => is_mute_after(stem),
        _ => false,
    }
}

/// Whether an `e` after `stem` is silent: after a consonant (*make*), but not after a consonant and an `l`
/// (*table*, *settled*). After a vowel it is in that vowel's group already (*tie*).
fn is_mute_after(stem: &[char]) -> bool {
    match stem {
        [.., before, 'l'] => is_vowel(*before) || *before == 'l',
        [.., before] => !is_vowel(*before),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_syllables_that_one_hears() {
        for (word, syllables) in [
            ("cat", 1),
            ("make", 1),
            ("makes", 1),
            ("the", 1),
            ("table", 2),
            ("tables", 2),
            ("rule", 1),
            ("boxes", 2),
            ("walked", 1),
            ("called", 1),
            ("settled", 2),
            ("wanted", 2),
            ("tree", 1),
            ("happy", 2),
            ("banana", 3),
            ("essay", 2),
            ("education", 4),
            ("don’t", 1),
            ("rhythm", 1),
            ("2024", 1),
        ] {
            assert_eq!(count(word), syllables, "{word}");
        }
    }
}
