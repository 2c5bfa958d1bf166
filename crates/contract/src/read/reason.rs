//! Why an essay failed, as other services write it.
//!
//! The spell checker of 2026 writes the text of a Python dict, cut off, where the thin result has its code, and the code itself
//! in the rich one. Texts are read for a code and then dropped, because they may quote a student's text.

use serde::Deserialize;
use serde::de::Deserializer;

use super::fields::Open;
use crate::strings::read_str;

/// Another service's reason for a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReason {
    /// The code in lower case: 1 to 64 of `0-9 a-z _ - . :`.
    pub code: String,
    /// Whether the service wrote it as the code of its error. If not, it is from the short form of a result.
    pub is_stated: bool,
}

/// The code of a language that the spell checker has no dictionary for. The platform's spell checker has no code for it.
const DICTIONARY_MISSING: &str = "dictionary_missing";

/// The code in a string: the string itself, or what the text of a Python dict has under `error_code`. Any other string may be a
/// sentence about a student's text, and is dropped.
pub(super) struct ErrorCode(Option<String>);

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_str(deserializer, "a code", |text| Some(Self(code_in(text))))
    }
}

impl ErrorCode {
    /// The reason that the short form of a result gives.
    pub(super) fn into_reason(self) -> Option<FailureReason> {
        Some(FailureReason { code: self.0?, is_stated: false })
    }
}

/// The error of the rich result and of the results of 2025: an open object.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ErrorInfo {
    error_code: Option<Open<ErrorCode>>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl ErrorInfo {
    /// The reason that the error states.
    pub(super) fn into_reason(self) -> Option<FailureReason> {
        let code = Open::value(self.error_code).and_then(|code| code.0);
        let is_about_dictionary = self.rest.values().any(mentions_missing_dictionary);
        let code = if is_about_dictionary { Some(DICTIONARY_MISSING.to_owned()) } else { code };
        Some(FailureReason { code: code?, is_stated: true })
    }
}

fn code_in(text: &str) -> Option<String> {
    if is_code(text) {
        return Some(text.to_ascii_lowercase());
    }
    if is_about_missing_dictionary(text) {
        return Some(DICTIONARY_MISSING.to_owned());
    }
    // `{'error_code': 'CONTENT_SERVICE_ERROR', …` or, of an enum, `{'error_code': <ErrorCode.TIMEOUT: 'TIMEOUT'>, …`.
    let (_, rest) = [r"'error_code'", r#""error_code""#].iter().find_map(|key| text.split_once(key))?;
    let value = rest.trim_start().strip_prefix(':')?;
    let value = value.split([',', '}']).next()?;
    let (_, quoted) = value.split_once(['\'', '"'])?;
    let (code, _) = quoted.split_once(['\'', '"'])?;
    is_code(code).then(|| code.to_ascii_lowercase())
}

fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':'))
}

/// Whether a message says that there is no dictionary for a language, in the words of the platform's spell checker.
fn is_about_missing_dictionary(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let names = |word: &str| text.contains(word);
    names("dictionary")
        && names("language")
        && (names("not exist") || names("no dictionary") || names("not found"))
}

fn mentions_missing_dictionary(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => is_about_missing_dictionary(text),
        serde_json::Value::Array(values) => values.iter().any(mentions_missing_dictionary),
        serde_json::Value::Object(fields) => fields.values().any(mentions_missing_dictionary),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_out_of_the_text_of_a_python_dict() {
        for (text, code) in [
            ("blank_text", Some("blank_text")),
            ("SPELL_EVENT_CORRELATION_ERROR", Some("spell_event_correlation_error")),
            (
                "{'error_code': 'CONTENT_SERVICE_ERROR', 'message': 'Failed to fetch content: 404', 'corr",
                Some("content_service_error"),
            ),
            ("{'error_code': <ErrorCode.TIMEOUT: 'TIMEOUT'>, 'message': 'it took long'}", Some("timeout")),
            ("{\"error_code\": \"PARSING_ERROR\"}", Some("parsing_error")),
            ("{'message': 'x', 'error_code' : 'RATE_LIMIT'}", Some("rate_limit")),
            (
                "{'error_code': 'PROCESSING_ERROR', 'message': 'Categorized error: The provided dictionary language \
                 (sv) does not exist!",
                Some("dictionary_missing"),
            ),
            // Cut off within the code, or without one.
            ("{'error_code': 'CONTENT_SERV", None),
            ("{'error_code': None}", None),
            ("{'error_code': 'the pupil wrote this'}", None),
            ("the pupil wrote this", None),
            ("", None),
        ] {
            assert_eq!(code_in(text).as_deref(), code, "{text}");
        }
    }

    #[test]
    fn the_stated_code_is_read_and_a_missing_dictionary_is_recognized_by_the_message() {
        let reason =
            |json: serde_json::Value| serde_json::from_value::<ErrorInfo>(json).unwrap().into_reason();
        let stated = |code: &str| Some(FailureReason { code: code.to_owned(), is_stated: true });
        assert_eq!(
            reason(serde_json::json!({ "error_code": "TIMEOUT", "message": "slow" })),
            stated("timeout")
        );
        let message = "The provided dictionary language (sv) does not exist!";
        assert_eq!(
            reason(
                serde_json::json!({ "error_code": "PROCESSING_ERROR", "details": { "original_message": message } })
            ),
            stated("dictionary_missing")
        );
        assert_eq!(reason(serde_json::json!({ "error_code": { "a": 1 } })), None);
        assert_eq!(reason(serde_json::json!({})), None);
    }
}
