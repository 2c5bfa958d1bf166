//! Errors of serde as problem items that contain no value of the input.
//!
//! Messages of serde quote the offending value (`invalid type: string "…", expected u32`), which may be an essay. Items take only
//! the parts that come from this service's types (names of fields, what was expected), and the name of an unknown field if it
//! is printable.

use serde_path_to_error::{Path, Segment};

use super::problem::{Code, Item};
use crate::suggest::suggest;

/// A fault, with the name of its field where the path of the error does not contain it.
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) detail: String,
    pub(crate) field: Option<String>,
}

/// Parses a message of serde. Its wordings (`serde::de::Error`) have been stable since serde 1.0.
pub(crate) fn read(message: &str) -> Fault {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    if let Some(rest) = message.strip_prefix("missing field `") {
        let field = rest.trim_end_matches('`');
        return Fault {
            code: Code::MissingField,
            detail: format!("`{field}` is missing"),
            field: Some(field.to_owned()),
        };
    }
    if let Some(rest) = message.strip_prefix("duplicate field `") {
        let field = printable(rest.trim_end_matches('`'));
        return Fault {
            code: Code::DuplicateKey,
            detail: format!("{} occurs twice", named(field.as_ref())),
            field,
        };
    }
    let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let end = rest.rsplit_once("`, expected ").or_else(|| rest.rsplit_once("`, there are no fields"));
        let name = end.map_or(rest, |(name, _)| name);
        let field = printable(name);
        let known: Vec<&str> =
            expected.into_iter().flat_map(|names| names.split('`').skip(1).step_by(2)).collect();
        let next = match suggest(name, known.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None if known.is_empty() => "no field is expected here".to_owned(),
            None => format!("known fields: {}", known.join(", ")),
        };
        return Fault {
            code: Code::UnknownField,
            detail: format!("{} is unknown; {next}", named(field.as_ref())),
            field,
        };
    }
    let detail = match expected {
        Some(expected) => format!("expected {expected}"),
        None => "the value is invalid".to_owned(),
    };
    Fault { code: Code::WrongType, detail, field: None }
}

/// The item of a fault in a body. Its pointer (RFC 6901) leads to the field itself.
pub(crate) fn item(path: &Path, message: &str) -> Item {
    let fault = read(message);
    let mut names: Vec<String> = path.iter().map(segment).collect();
    if fault.code == Code::UnknownField {
        // The path ends in the unknown field, which `fault.field` names only if it is printable.
        names.pop();
    }
    names.extend(fault.field);
    let escaped = names.iter().map(|name| name.replace('~', "~0").replace('/', "~1"));
    let pointer = escaped.fold(String::new(), |pointer, name| pointer + "/" + &name);
    Item::new(fault.code, fault.detail).at(pointer)
}

fn segment(segment: &Segment) -> String {
    match segment {
        Segment::Seq { index } => index.to_string(),
        Segment::Map { key } => printable(key).unwrap_or_else(|| "?".to_owned()),
        Segment::Enum { variant } => variant.clone(),
        Segment::Unknown => "?".to_owned(),
    }
}

/// The name, if it has at most 64 characters and only those of names, so that it cannot be essay text.
pub(crate) fn printable(name: &str) -> Option<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.len() <= 64 && name.chars().all(is_name)).then(|| name.to_owned())
}

fn named(field: Option<&String>) -> String {
    field.map_or_else(|| "a field".to_owned(), |field| format!("`{field}`"))
}
