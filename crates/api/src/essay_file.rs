//! What makes a file an essay, and how an essay is named: the same rules for forms and for the command line.

use unicode_normalization::UnicodeNormalization as _;

/// The extensions of essays, in lower case.
pub const EXTENSIONS: [&str; 2] = ["txt", "md"];

/// The first bytes of formats that hold text and are not text, with what such a file is. An extension does not make it text.
const FORMATS: [(&[u8], &str); 4] = [
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"{\\rtf", "a document in RTF"),
];

/// A text without the byte order mark that some editors write at its beginning. It is no part of an essay, whichever way the
/// text comes in.
pub fn unmarked(text: &str) -> &str {
    text.trim_start_matches('\u{feff}')
}

/// As [`unmarked`], for a text that is kept.
pub fn without_mark(text: String) -> String {
    let bare = unmarked(&text);
    if bare.len() == text.len() { text } else { bare.to_owned() }
}

/// The extension of a file in lower case, if it has one. A dot at the beginning of a name starts no extension.
pub fn extension(name: &str) -> Option<String> {
    let (stem, extension) = base(name).rsplit_once('.')?;
    (!stem.is_empty()).then(|| extension.to_ascii_lowercase())
}

/// Whether macOS keeps the attributes of another file in a file of this name. Archives and memory sticks carry such files along.
pub fn holds_attributes(name: &str) -> bool {
    base(name).starts_with("._")
}

/// What a file is if it is no text, by its first bytes: "a PDF".
pub fn format_of(content: &[u8]) -> Option<&'static str> {
    FORMATS.iter().find(|(start, _)| content.starts_with(start)).map(|(_, what)| *what)
}

/// The `client_ref` of the essay in a file: the name without folders and extension. `None` if that leaves nothing.
pub fn client_ref(name: &str) -> Option<&str> {
    let base = base(name);
    let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem);
    (!stem.is_empty()).then_some(stem)
}

/// The last part of a path. A backslash separates folders in a path of Windows, and is a letter like any other elsewhere.
fn base(name: &str) -> &str {
    let bytes = name.as_bytes();
    let of_windows = bytes.first() == Some(&b'\\') || bytes.get(1..3) == Some(b":\\");
    let after = |separator: char| name.rsplit(separator).next().unwrap_or(name);
    if of_windows { after('\\') } else { after('/') }
}

/// A name as it looks: names that a person cannot tell apart are equal here. Composed and decomposed letters are the same
/// (Unicode's form NFC), runs of blanks are one blank, and invisible characters are left out.
pub fn look(name: &str) -> String {
    let visible = name.split_whitespace().map(|word| word.chars().filter(|c| !is_invisible(*c)));
    let mut look = String::with_capacity(name.len());
    for word in visible {
        let before = look.len();
        if before > 0 {
            look.push(' ');
        }
        let start = look.len();
        look.extend(word.nfc());
        if look.len() == start {
            look.truncate(before);
        }
    }
    look
}

/// Whether a character takes no room: soft hyphen, joiners, zero-width blanks, variation selectors, byte order mark.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_essay_is_named_after_its_file_without_folders_and_extension() {
        for (file, name) in [
            ("anna.txt", Some("anna")),
            ("9B/anna.b.TXT", Some("anna.b")),
            ("C:\\work\\anna.txt", Some("anna")),
            ("\\\\server\\9B\\anna.txt", Some("anna")),
            ("back\\slash.txt", Some("back\\slash")),
            (".hidden.txt", Some(".hidden")),
            (".txt", None),
            ("", None),
        ] {
            assert_eq!(client_ref(file), name, "{file}");
        }
        assert_eq!(extension("a.b.TXT").as_deref(), Some("txt"));
        assert_eq!((extension("anna"), extension(".txt")), (None, None));
    }

    #[test]
    fn names_that_look_alike_are_equal_and_others_are_not() {
        for (one, other) in [
            ("Zo\u{eb}", "Zoe\u{308}"),
            ("anna  b", "anna\u{a0}b "),
            ("an\u{ad}na", "anna\u{200b}"),
            ("\u{feff}anna", "anna \u{200b}"),
            ("\u{212b}sa", "\u{c5}sa"),
        ] {
            assert_eq!(look(one), look(other));
        }
        for (one, other) in
            [("anna", "Anna"), ("anna-1", "anna-2"), ("a b", "ab"), ("\u{e9}", "e"), ("1", "①")]
        {
            assert_ne!(look(one), look(other));
        }
    }
}
