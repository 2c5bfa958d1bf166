//! Boundaries of words and sentences: [UAX #29](https://www.unicode.org/reports/tr29/), extended for the
//! texts of pupils by addresses, wrapped lines and missing capitals.

use unicode_segmentation::UnicodeSegmentation;

/// Abbreviations of at least three letters after which a sentence continues, English and Swedish.
const ABBREVIATIONS: [&str; 10] = ["approx", "dvs", "etc", "kap", "mrs", "osv", "prof", "resp", "sid", "vol"];

/// A word of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// Byte offset of the first letter in the text.
    pub(super) start: usize,
    /// The word as written.
    pub(super) text: &'a str,
}

/// The words of `text` in order. A web or mail address, a @handle and a #hashtag are one word each, whatever is inside.
pub(super) fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    text.split_inclusive(char::is_whitespace)
        .scan(0, |next, chunk| {
            let start = *next;
            *next += chunk.len();
            Some((start, chunk.trim_end()))
        })
        .flat_map(|(start, chunk)| {
            let address = is_address(chunk).then_some(Word { start, text: chunk });
            let inside = if address.is_some() { "" } else { chunk };
            address.into_iter().chain(
                inside.unicode_word_indices().map(move |(offset, text)| Word { start: start + offset, text }),
            )
        })
}

fn is_address(chunk: &str) -> bool {
    let marked = chunk.contains("://")
        || chunk.contains('@')
        || chunk.starts_with('#')
        || chunk.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("www."));
    marked && chunk.contains(char::is_alphanumeric)
}

/// The number of sentences in which a word begins. A line that continues in lower case on the next line is
/// one sentence; any other line end closes it (headings, verses, lists).
pub(super) fn sentences(text: &str) -> usize {
    sentence_starts(&join_wrapped_lines(text)).count()
}

/// The byte offset of the first word of each sentence.
pub(super) fn sentence_starts(text: &str) -> impl Iterator<Item = usize> {
    let mut bounds = text.split_sentence_bound_indices().map(|(start, _)| start).peekable();
    let mut before: Option<Word<'_>> = None;
    words(text).map(move |word| (before.replace(word), word)).filter_map(move |(before, word)| {
        let mut opens = before.is_some_and(|before| ends_plainly(text, before, word));
        while bounds.next_if(|bound| *bound <= word.start).is_some() {
            opens = true;
        }
        opens.then_some(word.start)
    })
}

/// Whether a full stop ends a sentence although the next word is in lower case, where UAX #29 continues it
/// (rule SB8). Pupils omit capitals more often than they abbreviate, so abbreviations are recognised by the
/// word before the stop.
fn ends_plainly(text: &str, before: Word<'_>, word: Word<'_>) -> bool {
    let between = text.get(before.start + before.text.len()..word.start).unwrap_or_default();
    let stopped = between.starts_with('.') && between.contains(char::is_whitespace);
    let abbreviated = before.text.contains('.')
        || before.text.chars().count() < 3
        || ABBREVIATIONS.contains(&before.text.to_lowercase().as_str());
    stopped && !between.starts_with("..") && !abbreviated
}

/// Turns a single line end before a lower-case letter into a space, and CR LF and CR into LF.
fn join_wrapped_lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut joined = String::with_capacity(text.len());
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        joined.push_str(line);
        if let Some(next) = lines.peek() {
            joined.push(if next.starts_with(char::is_lowercase) { ' ' } else { '\n' });
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        words(text).map(|word| word.text).collect()
    }

    #[test]
    fn apostrophes_of_both_kinds_stay_inside_their_word() {
        assert_eq!(texts("don't don’t 'quoted' ‘so’"), ["don't", "don’t", "quoted", "so"]);
    }

    #[test]
    fn an_address_is_one_word() {
        let text = "see https://example.org/teh?a=b, www.konsumentverket.se or me@example.org #tbt now";
        assert_eq!(
            texts(text),
            [
                "see",
                "https://example.org/teh?a=b,",
                "www.konsumentverket.se",
                "or",
                "me@example.org",
                "#tbt",
                "now"
            ]
        );
    }

    #[test]
    fn a_lone_at_sign_or_hash_is_no_word() {
        assert_eq!(texts("a @ b # c"), ["a", "b", "c"]);
    }

    #[test]
    fn offsets_are_bytes_of_the_original_with_mark_and_every_line_end() {
        let text = "\u{feff}Åsa\r\nand\rZoë\n";
        for word in words(text) {
            assert_eq!(&text[word.start..word.start + word.text.len()], word.text);
        }
        assert_eq!(texts(text), ["Åsa", "and", "Zoë"]);
    }

    #[test]
    fn a_wrapped_line_does_not_end_a_sentence_and_a_heading_does() {
        assert_eq!(sentences("My dog\n\nHe is old\r\nand kind. He sleeps.\r\n"), 3);
    }

    #[test]
    fn a_forgotten_capital_still_starts_a_sentence_and_an_abbreviation_does_not_end_one() {
        assert_eq!(sentences("it is to long. wait, dont stop. please"), 3);
        assert_eq!(sentences("Dogs, cats etc. are nice, e.g. the old ones, t.ex. min... and so on"), 1);
    }

    #[test]
    fn a_full_stop_inside_an_address_ends_no_sentence() {
        assert_eq!(sentences("Write to A.Berg@example.org today."), 1);
        assert_eq!(sentences("A.B@"), 1);
    }

    #[test]
    fn blanks_and_bare_punctuation_hold_no_sentence() {
        assert_eq!(sentences("  \n\t ... !!! \r\n"), 0);
    }

    #[test]
    fn a_sentence_starts_at_its_first_word_behind_the_quotation_mark() {
        let text = "“Its odd. Very odd.” Yes";
        let starts: Vec<_> = sentence_starts(text).map(|start| &text[start..start + 3]).collect();
        assert_eq!(starts, ["Its", "Ver", "Yes"]);
    }
}
