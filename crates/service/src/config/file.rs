//! The parser for a file of settings: flat TOML, with the line of every key.

use toml::de::{DeTable, DeValue};

/// One `key = value`.
pub(super) struct Entry {
    pub(super) key: String,
    /// Counted from 1.
    pub(super) line: usize,
    /// The value as text, or what is wrong with it as a predicate.
    pub(super) value: Result<String, String>,
}

/// Parses a file into its entries.
///
/// # Errors
/// The line of the first syntax error, and the TOML parser's message without its excerpt of the line, which may be a secret.
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

/// A scalar as text; a list as its scalars separated by commas; an empty list as `none`.
fn text_of(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| "is a number that is too large".to_owned()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Ok(truth.to_string()),
        DeValue::Array(items) if items.is_empty() => Ok("none".to_owned()),
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| text_of(item.get_ref())).collect::<Result<Vec<_>, _>>()?;
            Ok(texts.join(","))
        }
        DeValue::Datetime(_) => Err("is a date, but no setting is one".to_owned()),
        DeValue::Table(_) => Err("is a table, but settings are flat".to_owned()),
    }
}
