//! The checks of an essay's text, the same for every endpoint and both databases.

use super::faults::{Faults, Place};
use crate::essay_file::unmarked;
use crate::problem::Code;

/// Checks the text of an essay, without its byte order mark.
pub(crate) fn check(faults: &mut Faults, place: Place<'_>, text: &str, longest: usize) {
    if let Some((code, detail)) = fault(text, longest) {
        faults.add(place, code, detail);
    }
}

fn fault(text: &str, longest: usize) -> Option<(Code, String)> {
    let is_empty = text.is_empty();
    let text = unmarked(text);
    if is_empty {
        Some((Code::EmptyText, "the text is empty".to_owned()))
    } else if text.len() > longest {
        Some((Code::TextTooLarge, format!("{} bytes, at most {longest} are allowed", text.len())))
    } else if let Some(offset) = text.find('\0') {
        Some((Code::NulCharacter, format!("U+0000 at offset {offset}")))
    } else if text.chars().all(is_blank) {
        Some((Code::BlankText, "the text holds nothing but white space".to_owned()))
    } else {
        None
    }
}

/// Whether a character is white space or invisible. A file with only a byte order mark is blank.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{feff}' | '\u{200b}'..='\u{200d}' | '\u{2060}')
}

/// Decodes a file as UTF-8.
pub(crate) fn decode(faults: &mut Faults, place: Place<'_>, bytes: &[u8]) -> Option<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        Err(error) => {
            let offset = error.valid_up_to();
            faults.add(
                place,
                Code::InvalidUtf8,
                format!("not UTF-8 at offset {offset}; save the text as UTF-8"),
            );
            None
        }
    }
}

/// A JSON document as text. Bytes that are not UTF-8 become a lone surrogate escape, so that parsing the string that contains
/// them fails, with the place of that string.
pub(crate) fn repair(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push_str(r"\ud800");
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_refused_for_its_first_fault() {
        let code = |text: &str| fault(text, 10).map(|(code, _)| code);
        assert_eq!(code(""), Some(Code::EmptyText));
        assert_eq!(code(" \r\n\t\u{feff}"), Some(Code::BlankText));
        assert_eq!(code("a\0b"), Some(Code::NulCharacter));
        assert_eq!(code("ååååå"), None, "ten bytes are ten bytes");
        assert_eq!(code("ååååå!"), Some(Code::TextTooLarge));
        assert_eq!(code("\u{feff}ååååå"), None, "a byte order mark is no part of the text");
        assert_eq!(code("\u{feff}"), Some(Code::BlankText));
        assert_eq!(code("a\rb\n"), None, "a lone carriage return is a line end like any other");
        assert_eq!(code("\u{1f600}"), None);
    }

    #[test]
    fn bytes_that_are_not_utf8_become_a_lone_surrogate() {
        assert_eq!(repair(b"{\"text\": \"a\xffb\"}"), r#"{"text": "a\ud800b"}"#);
        assert_eq!(repair("\u{feff}{}".as_bytes()), "{}");
    }
}
