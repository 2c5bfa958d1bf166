//! A checksum over the rows of a table that is the same on SQLite and PostgreSQL, and in any order of the rows.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use store::promotion::{Table, Value};

/// The number of rows of a table, and the sum of their hashes.
///
/// The hashes are added as numbers, so the order of the rows does not matter, and a repeated row changes the sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    rows: u64,
    high: u128,
    low: u128,
}

impl Sum {
    /// Adds one row.
    pub(super) fn add(&mut self, row: &[Value]) {
        let hash: [u8; 32] = Sha256::digest(canonical(row)).into();
        let (high, low) = hash.split_at(16);
        let number = |half: &[u8]| half.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        self.rows += 1;
        self.high = self.high.wrapping_add(number(high));
        self.low = self.low.wrapping_add(number(low));
    }

    /// The number of rows.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// The first 16 hexadecimal digits, for a report.
    pub(super) fn short(&self) -> String {
        format!("{:016x}", (self.high >> 64) as u64)
    }

    /// The number of rows and all digits, for comparing with another run.
    pub(super) fn whole(&self) -> String {
        format!("{}:{:032x}{:032x}", self.rows, self.high, self.low)
    }
}

/// The bytes of a row: each value after its length, so that different rows have different bytes.
fn canonical(row: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    for value in row {
        let part = match value {
            Value::Int(value) => value.map(|value| value.to_string().into_bytes()),
            Value::Text(value) => value.as_ref().map(|value| value.as_bytes().to_vec()),
            Value::Bytes(value) => value.clone(),
            Value::Uuid(value) => value.map(|value| value.as_bytes().to_vec()),
            Value::Time(value) => value.map(|value| value.timestamp_micros().to_string().into_bytes()),
            Value::Json(value) => value.as_ref().map(|value| plain(value).into_bytes()),
        };
        match part {
            None => bytes.push(b'-'),
            Some(part) => {
                bytes.extend_from_slice(part.len().to_string().as_bytes());
                bytes.push(b':');
                bytes.extend_from_slice(&part);
            }
        }
    }
    bytes
}

/// JSON in one normal form for what PostgreSQL's `jsonb` does not keep: the order of members, white space, the form of a number.
fn plain(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(value) => {
            let mut out = String::with_capacity(text.len());
            write_plain(&value, &mut out);
            out
        }
        Err(_) => text.to_owned(),
    }
}

fn write_plain(value: &Json, out: &mut String) {
    match value {
        Json::Number(number) => {
            // 1.0, 1 and 1e0 are the same number, and PostgreSQL may return another form than it got.
            let whole = number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0 && n.abs() < 9e15);
            // Writing to a string cannot fail.
            let _ = match whole {
                Some(whole) => write!(out, "{whole:.0}"),
                None => write!(out, "{number}"),
            };
        }
        Json::Array(items) => {
            out.push('[');
            for item in items {
                write_plain(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in sorted {
                let _ = write!(out, "{name:?}:");
                write_plain(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Json::Null | Json::Bool(_) | Json::String(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

/// Whether the row has one of these ids in a column that can refer to a stored text.
pub(super) fn names_any(table: &Table, row: &[Value], ids: &HashSet<&str>) -> bool {
    if ids.is_empty() {
        return false;
    }
    let naming = table.columns.iter().zip(row).filter(|(column, _)| column.names_texts);
    let mut texts = naming.filter_map(|(_, value)| match value {
        Value::Text(value) | Value::Json(value) => value.as_deref(),
        Value::Bytes(value) => value.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()),
        Value::Int(_) | Value::Uuid(_) | Value::Time(_) => None,
    });
    let is_of_id = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    texts.any(|text| text.split(|c| !is_of_id(c)).any(|word| ids.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(Some(text.to_owned()))
    }

    fn sum(rows: &[Vec<Value>]) -> Sum {
        rows.iter().fold(Sum::default(), |mut sum, row| {
            sum.add(row);
            sum
        })
    }

    #[test]
    fn the_sum_ignores_the_order_of_rows_and_detects_every_change() {
        let (a, b) = (vec![text("a"), text("b")], vec![Value::Int(Some(7)), Value::Text(None)]);
        assert_eq!(sum(&[a.clone(), b.clone()]), sum(&[b.clone(), a.clone()]));
        let changed = [
            vec![a.clone()],
            vec![a.clone(), a.clone()],
            vec![vec![text("ab"), text("")], b.clone()],
            vec![a.clone(), vec![Value::Int(Some(7)), text("")]],
        ];
        for rows in changed {
            assert_ne!(sum(&rows), sum(&[a.clone(), b.clone()]), "{rows:?}");
        }
    }

    #[test]
    fn json_is_compared_by_value() {
        let json = |text: &str| sum(&[vec![Value::Json(Some(text.to_owned()))]]);
        assert_eq!(json(r#"{"b": [1.0, 2.50], "a": null}"#), json(r#"{"a":null,"b":[1,2.5]}"#));
        assert_ne!(json(r#"{"a": "1"}"#), json(r#"{"a": 1}"#));
        assert_ne!(json(r#"{"a": [1, 2]}"#), json(r#"{"a": [2, 1]}"#));
    }

    #[test]
    fn an_id_is_found_in_columns_that_refer_to_texts_and_not_in_text_from_users() {
        let essays = store::promotion::TABLES.iter().find(|table| table.name == "essays").unwrap();
        let row = |id: &str, name: &str| -> Vec<Value> {
            let value = |column: &store::promotion::Column| match column.name {
                "text_storage_id" => text(id),
                "client_ref" => text(name),
                _ => Value::Text(None),
            };
            essays.columns.iter().map(value).collect()
        };
        let ids = HashSet::from(["0a"]);
        assert!(names_any(essays, &row("0a", "x"), &ids));
        assert!(!names_any(essays, &row("0ab", "0a"), &ids));
    }
}
