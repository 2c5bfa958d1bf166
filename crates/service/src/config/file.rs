//! A file of settings: flat TOML, every key with the line it stands on.

use toml::de::{DeTable, DeValue};

/// One `key = value`.
pub(super) struct Entry {
    pub(super) key: String,
    /// Counted from 1.
    pub(super) line: usize,
    /// The value as text, or what is wrong with it.
    pub(super) value: Result<String, String>,
}

/// The entries of a file, or the line and the nature of the first thing that is not TOML.
///
/// The parser's own message is passed on, never its excerpt of the line, which may hold a secret.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let line_of = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        (line_of(offset), error.message().lines().next().unwrap_or_default().to_owned())
    })?;
    let entries = table.get_ref().iter().map(|(key, value)| Entry {
        key: key.get_ref().to_string(),
        line: line_of(key.span().start),
        value: text_of(value.get_ref()),
    });
    Ok(entries.collect())
}

/// A scalar as text; a list as its scalars with commas between, the empty one as `none`.
fn text_of(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| "is too large a number".to_owned()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Ok(truth.to_string()),
        DeValue::Array(items) if items.is_empty() => Ok("none".to_owned()),
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| text_of(item.get_ref())).collect::<Result<Vec<_>, _>>()?;
            Ok(texts.join(","))
        }
        DeValue::Datetime(_) => Err("is a date, which no setting is".to_owned()),
        DeValue::Table(_) => Err("is a table, but settings are flat".to_owned()),
    }
}
