//! The `Content-Disposition` of a part of a form (RFC 7578), in the forms in which clients write names.
//!
//! | a client writes | and is |
//! |---|---|
//! | UTF-8, with `%22` for a quotation mark | a browser, curl since 7.81, requests, Node.js |
//! | UTF-8, with `\"` for a quotation mark | curl before 7.81 and with `--form-escape`, aiohttp with `quote_fields=False` |
//! | UTF-8, percent-encoded (RFC 7578 §2) | aiohttp |
//! | `filename*=utf-8''…` (RFC 5987) | requests before urllib3 1.25, .NET |
//! | an encoded word (RFC 2047) | .NET, mail libraries |
//! | ISO-8859-1 | old programs on Windows |
//!
//! What is none of these is refused, because a name that is guessed wrongly belongs to another pupil.

use std::str;

use super::transfer;

/// What a part says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Disposition {
    /// The name of the field.
    pub(super) name: String,
    /// The name of the file; a part that has one is a file. An error is a predicate of the name.
    pub(super) file_name: Option<Result<String, &'static str>>,
}

/// A parameter of the header: its name in lower case, and its value without quotation marks.
type Parameter = (String, Vec<u8>);

/// Parses the header.
///
/// # Errors
/// What is wrong with the part, as a predicate.
pub(super) fn parse(header: Option<&[u8]>) -> Result<Disposition, &'static str> {
    let header = header.ok_or("has no Content-Disposition")?;
    let kind = header.split(|byte| *byte == b';').next().unwrap_or_default();
    if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return Err("has a Content-Disposition other than form-data");
    }
    let parameters = parameters(header.get(kind.len()..).unwrap_or_default())?;
    let find =
        |name: &str| parameters.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_slice());
    let name = match (find("name*"), find("name")) {
        (Some(value), _) => extended(value),
        (None, Some(value)) => text(value),
        (None, None) => Ok(String::new()),
    };
    // RFC 6266 §4.3: the extended form has precedence, because clients that send both mean the other for old servers.
    let file_name = match (find("filename*"), find("filename")) {
        (Some(value), _) => Some(extended(value)),
        (None, Some(value)) => Some(text(value)),
        (None, None) if parameters.iter().any(|(found, _)| found.starts_with("filename*")) => {
            Some(Err("is split into several parameters (RFC 2231)"))
        }
        (None, None) => None,
    };
    let name = name.map_err(|_| "has a field name that is neither UTF-8 nor encoded as an RFC defines")?;
    Ok(Disposition { name, file_name })
}

fn parameters(mut rest: &[u8]) -> Result<Vec<Parameter>, &'static str> {
    let mut parameters: Vec<Parameter> = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        while let Some(after) = rest.strip_prefix(b";") {
            rest = after.trim_ascii_start();
        }
        if rest.is_empty() {
            return Ok(parameters);
        }
        let equals = rest.iter().position(|byte| matches!(byte, b'=' | b';' | b'"'));
        let (key, after) = rest.split_at_checked(equals.unwrap_or(rest.len())).unwrap_or_default();
        let after = after.strip_prefix(b"=").ok_or("has a Content-Disposition that cannot be parsed")?;
        let after = after.trim_ascii_start();
        let (value, next) = if let Some(inside) = after.strip_prefix(b"\"") {
            quoted(inside).ok_or("has a Content-Disposition with a quotation mark that is not closed")?
        } else {
            let end = after.iter().position(|byte| *byte == b';').unwrap_or(after.len());
            let (value, next) = after.split_at_checked(end).unwrap_or_default();
            (value.trim_ascii().to_vec(), next)
        };
        let key = str::from_utf8(key.trim_ascii()).unwrap_or_default().to_ascii_lowercase();
        if parameters.iter().any(|(found, _)| *found == key) {
            return Err("has a Content-Disposition that names a parameter more than once");
        }
        parameters.push((key, value));
        rest = next;
    }
}

/// The text to the closing quotation mark, and what follows it. `\"` and `\\` are escapes; any other backslash is one, because
/// browsers do not escape them.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut rest = text;
    loop {
        match rest {
            [b'"', next @ ..] => return Some((value, next)),
            [b'\\', escaped @ (b'"' | b'\\'), next @ ..] => {
                value.push(*escaped);
                rest = next;
            }
            [byte, next @ ..] => {
                value.push(*byte);
                rest = next;
            }
            [] => return None,
        }
    }
}

/// The value of an ordinary parameter.
fn text(value: &[u8]) -> Result<String, &'static str> {
    let text = match str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => latin1(value).ok_or("is neither UTF-8 nor ISO-8859-1")?,
    };
    if text.starts_with("=?") && text.ends_with("?=") {
        return encoded_words(&text);
    }
    percent_decoded(text)
}

/// The value of a parameter with an asterisk (RFC 5987): charset, language and percent-encoded bytes.
fn extended(value: &[u8]) -> Result<String, &'static str> {
    const MALFORMED: &str = "is not encoded as RFC 5987 defines";
    let mut pieces = str::from_utf8(value).map_err(|_| MALFORMED)?.splitn(3, '\'');
    let (Some(charset), Some(_language), Some(encoded)) = (pieces.next(), pieces.next(), pieces.next())
    else {
        return Err(MALFORMED);
    };
    in_charset(charset, &unpercent(encoded).ok_or(MALFORMED)?)
}

/// Decodes a percent-encoded name. Where not every `%` begins an escape, the client encodes as browsers do, which is the
/// quotation mark and line ends only.
fn percent_decoded(text: String) -> Result<String, &'static str> {
    if !text.contains('%') {
        return Ok(text);
    }
    match unpercent(&text) {
        Some(bytes) => String::from_utf8(bytes).map_err(|_| "is percent-encoded and not UTF-8"),
        None => Ok(text.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")),
    }
}

/// The bytes of a percent-encoded text; `None` if a `%` is not followed by two hexadecimal digits.
fn unpercent(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            bytes.push(transfer::byte(digits)?);
            rest = after;
        } else {
            bytes.push(*byte);
        }
    }
    Some(bytes)
}

/// Decodes a text that consists of encoded words (RFC 2047).
fn encoded_words(text: &str) -> Result<String, &'static str> {
    const MALFORMED: &str = "is not encoded as RFC 2047 defines";
    let mut decoded = String::new();
    for word in text.split_ascii_whitespace() {
        let inside = word.strip_prefix("=?").and_then(|word| word.strip_suffix("?=")).ok_or(MALFORMED)?;
        let mut pieces = inside.split('?');
        let (Some(charset), Some(encoding), Some(data), None) =
            (pieces.next(), pieces.next(), pieces.next(), pieces.next())
        else {
            return Err(MALFORMED);
        };
        let bytes = match encoding {
            "B" | "b" => transfer::base64(data.as_bytes()),
            "Q" | "q" => transfer::quoted_printable(data.replace('_', " ").as_bytes()),
            _ => None,
        };
        decoded += &in_charset(charset, &bytes.ok_or(MALFORMED)?)?;
    }
    Ok(decoded)
}

/// Decodes bytes in one of the charsets that RFC 5987 asks for.
fn in_charset(charset: &str, bytes: &[u8]) -> Result<String, &'static str> {
    const WRONG: &str = "holds bytes that its charset does not have";
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" | "us-ascii" => str::from_utf8(bytes).map(str::to_owned).map_err(|_| WRONG),
        "iso-8859-1" | "latin1" => latin1(bytes).ok_or(WRONG),
        _ => Err("has a charset other than UTF-8 and ISO-8859-1"),
    }
}

/// Decodes ISO-8859-1. Its control characters are in no name: bytes that look like them are another encoding.
fn latin1(bytes: &[u8]) -> Option<String> {
    bytes
        .iter()
        .map(|byte| char::from(*byte))
        .map(|c| (!matches!(c, '\u{80}'..='\u{9f}')).then_some(c))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_name(parameters: &[u8]) -> Option<Result<String, &'static str>> {
        parse(Some(&[b"form-data; name=\"essays\"; ", parameters].concat())).unwrap().file_name
    }

    #[test]
    fn a_file_name_is_decoded_from_every_form_that_an_rfc_defines() {
        let forms: [(&[u8], &str); 22] = [
            (b"filename=\"anna.txt\"", "anna.txt"),
            (b"filename=anna.txt", "anna.txt"),
            (b"FileName = two words.txt ; x=y", "two words.txt"),
            (b"filename=\"a;b, c.txt\"", "a;b, c.txt"),
            (b"filename=\"\"", ""),
            ("filename=\"café.txt\"".as_bytes(), "café.txt"),
            (b"filename=\"caf\xe9.txt\"", "café.txt"),
            (b"filename=\"caf%C3%A9%20b.txt\"", "café b.txt"),
            (b"filename=\"a%22b.txt\"", "a\"b.txt"),
            (b"filename=\"100%.txt\"", "100%.txt"),
            (b"filename=\"50% of %22x%22.txt\"", "50% of \"x\".txt"),
            (br#"filename="a\"b\\c.txt""#, "a\"b\\c.txt"),
            (br#"filename="C:\work\a.txt""#, "C:\\work\\a.txt"),
            (b"filename*=utf-8''caf%C3%A9.txt", "café.txt"),
            (b"filename*=UTF-8'sv'caf%C3%A9.txt", "café.txt"),
            (b"filename*=\"utf-8''caf%c3%a9.txt\"", "café.txt"),
            (b"filename*=iso-8859-1''caf%E9.txt", "café.txt"),
            (b"filename=\"caf_.txt\"; filename*=utf-8''caf%C3%A9.txt", "café.txt"),
            (b"filename*=utf-8''caf%C3%A9.txt; filename=\"caf\x92.txt\"", "café.txt"),
            (b"filename=\"=?utf-8?B?Y2Fmw6kudHh0?=\"", "café.txt"),
            (b"filename=\"=?iso-8859-1?Q?caf=E9_b?= =?us-ascii?q?.txt?=\"", "café b.txt"),
            (b"filename=\"a%2Fb.txt\"", "a/b.txt"),
        ];
        for (form, name) in forms {
            assert_eq!(file_name(form), Some(Ok(name.to_owned())), "{}", form.escape_ascii());
        }
        assert_eq!(file_name(b""), None);
    }

    #[test]
    fn every_other_form_is_refused_and_not_guessed() {
        let forms: [&[u8]; 10] = [
            b"filename=\"O\x92Brien.txt\"",
            b"filename=\"caf%E9.txt\"",
            b"filename*=caf%C3%A9.txt",
            b"filename*=utf-8''caf%C3%A",
            b"filename*=utf-8''caf%E9.txt",
            b"filename*=shift_jis''%83e.txt",
            b"filename*0=\"a\"; filename*1=\".txt\"",
            b"filename=\"=?utf-8?X?abc?=\"",
            b"filename=\"=?koi8-r?B?YQ==?=\"",
            b"filename=\"=?utf-8?B?!?=\"",
        ];
        for form in forms {
            assert!(matches!(file_name(form), Some(Err(_))), "{}", form.escape_ascii());
        }
        let headers: [&[u8]; 6] = [
            b"form-data; name=\"a",
            b"form-data; name",
            b"form-data; name=\"a\"; name=\"b\"",
            b"form-data; name=\"a\"; filename=\"a.txt\"; filename=\"b.txt\"",
            b"attachment; filename=\"a.txt\"",
            b"form-data; name=\"\x92\"",
        ];
        for header in headers {
            assert!(parse(Some(header)).is_err(), "{}", header.escape_ascii());
        }
        assert!(parse(None).is_err());
    }
}
