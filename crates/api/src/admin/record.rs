//! The message of a dead letter, as far as it may be shown.

use client::documents::DeadLetterRecord;
use engine::ports::Delivery;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Characters of a key or of an envelope's field that are shown; chosen.
const WIDTH: usize = 120;
/// The fields of an envelope that are shown. They identify the message and hold nothing of its content.
const FIELDS: [&str; 6] =
    ["event_id", "event_type", "event_timestamp", "source_service", "schema_version", "correlation_id"];
/// Names of the payload's fields that are shown, at most; chosen.
const NAMES: usize = 24;

/// Describes the message of a dead letter. `sha256` is the hash of the message that was dead-lettered.
pub(super) fn record(delivery: &Delivery, sha256: &[u8]) -> DeadLetterRecord {
    let value: Option<Value> = serde_json::from_slice(&delivery.value).ok();
    let field = |name: &str| value.as_ref().and_then(|value| value.get(name));
    let envelope = FIELDS.iter().filter_map(|name| {
        let shown = match field(name)? {
            Value::String(text) => Value::from(text.chars().take(WIDTH).collect::<String>()),
            number @ Value::Number(_) => number.clone(),
            Value::Null => Value::Null,
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => Value::from("(no text)"),
        };
        Some(((*name).to_owned(), shown))
    });
    let data = field("data").and_then(Value::as_object);
    DeadLetterRecord {
        key: delivery.key.chars().take(WIDTH).collect(),
        size_bytes: delivery.value.len(),
        is_the_same: Sha256::digest(&delivery.value).as_slice() == sha256,
        envelope: envelope.collect(),
        data_fields: data.map(|data| data.keys().take(NAMES).cloned().collect()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_an_envelope_shows_none() {
        for value in ["", "[1]", "\u{0}", "{\"a\": 1}"] {
            let delivery = Delivery {
                topic: contract::Topic::BatchPhaseOutcome,
                partition: 3,
                offset: 7,
                key: "k".to_owned(),
                value: value.as_bytes().to_vec().into(),
                trace: None,
            };
            assert!(record(&delivery, &[]).envelope.is_empty(), "{value}");
        }
    }
}
