//! `bos dead-letter show`.

use chrono::{DateTime, Utc};
use clap::Args;
use engine::ports::Delivery;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use store::DeadLetter;

use super::place::Place;
use super::record;
use crate::commands::Exit;
use crate::commands::database::installation;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;

/// Characters of an envelope's field that are shown.
const WIDTH: usize = 120;
/// The fields of an envelope that say what a message is, and nothing that it is about.
const FIELDS: [&str; 6] =
    ["event_id", "event_type", "event_timestamp", "source_service", "schema_version", "correlation_id"];

/// Show a dead letter, with the envelope of its message and never its text.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos dead-letter show huleedu.els.batch.phase.outcome.v1/3/4711")]
pub(super) struct ShowCommand {
    /// Dead letter as `bos dead-letter list` prints it
    #[arg(value_name = "ID")]
    letter: Place,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    consumer: String,
    error_code: String,
    set_aside_at: DateTime<Utc>,
    value_sha256: String,
    /// None: the bus no longer has the message.
    record: Option<Record>,
}

#[derive(Serialize)]
struct Record {
    key: String,
    size_bytes: usize,
    /// Whether these are the bytes that were set aside.
    is_the_same: bool,
    /// The fields of the envelope; empty where it is none.
    envelope: serde_json::Map<String, Value>,
    /// The names of the payload's fields.
    data_fields: Vec<String>,
}

impl ShowCommand {
    pub(super) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let config = self.settings.load_for_upkeep()?.config;
        let store = installation::open(&config).await?;
        let Some(letter) = self.letter.find(&store).await? else {
            output.note(&format!(
                "There is no dead letter {}; `bos dead-letter list` shows them.",
                self.letter
            ));
            return Ok(Exit::NotFound);
        };
        let delivery = record::fetch(&config, &store, self.letter).await;
        store.close().await;
        if let Err(error) = &delivery {
            output.note(&format!("{error:#}"));
        }
        let exit = if delivery.is_ok() { Exit::Ok } else { Exit::Failed };
        let shown = shown(self.letter, letter, delivery.ok().flatten());
        output.one(&shown, text)?;
        Ok(exit)
    }
}

fn shown(place: Place, letter: DeadLetter, delivery: Option<Delivery>) -> Shown {
    Shown {
        id: place.to_string(),
        consumer: letter.consumer,
        error_code: letter.error_code,
        set_aside_at: letter.at,
        record: delivery.map(|delivery| about(&delivery, &letter.value_sha256)),
        value_sha256: letter
            .value_sha256
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}")),
    }
}

/// What may be told of a message by whoever cannot trust it.
fn about(delivery: &Delivery, sha256: &[u8]) -> Record {
    let value: Option<Value> = serde_json::from_slice(&delivery.value).ok();
    let field = |name: &str| value.as_ref().and_then(|value| value.get(name));
    let envelope = FIELDS.iter().filter_map(|name| {
        let told = match field(name)? {
            Value::String(text) => Value::from(text.chars().take(WIDTH).collect::<String>()),
            number @ Value::Number(_) => number.clone(),
            Value::Null => Value::Null,
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => Value::from("(no text)"),
        };
        Some(((*name).to_owned(), told))
    });
    let data = field("data").and_then(Value::as_object);
    Record {
        key: delivery.key.chars().take(WIDTH).collect(),
        size_bytes: delivery.value.len(),
        is_the_same: Sha256::digest(&delivery.value).as_slice() == sha256,
        envelope: envelope.collect(),
        data_fields: data
            .map(|data| data.keys().take(FIELDS.len() * 4).cloned().collect())
            .unwrap_or_default(),
    }
}

fn text(shown: &Shown) -> String {
    let mut lines = vec![
        format!("id            {}", shown.id),
        format!("code          {}", shown.error_code),
        format!("set aside     {} by {}", shown.set_aside_at.to_rfc3339(), shown.consumer),
        format!("sha-256       {}", shown.value_sha256),
    ];
    let Some(record) = &shown.record else {
        lines.push("message       not to be read: the bus no longer has it, or does not answer".to_owned());
        return lines.join("\n");
    };
    let same = if record.is_the_same { "as it was set aside" } else { "NOT the bytes that were set aside" };
    lines.push(format!("message       {} bytes, {same}", record.size_bytes));
    lines.push(format!("key           {}", record.key));
    for (name, value) in &record.envelope {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        lines.push(format!("{name:<13} {value}"));
    }
    if record.envelope.is_empty() {
        lines.push("envelope      none: it is no JSON object, or has no field of an envelope".to_owned());
    }
    if !record.data_fields.is_empty() {
        lines.push(format!("data holds    {}", record.data_fields.join(", ")));
    }
    lines.iter().map(|line| client::clean(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(value: &str) -> Delivery {
        Delivery {
            topic: contract::Topic::BatchPhaseOutcome,
            partition: 3,
            offset: 7,
            key: "k".to_owned(),
            value: value.as_bytes().to_vec().into(),
            trace: None,
        }
    }

    #[test]
    fn of_a_message_the_envelope_is_told_and_nothing_that_it_is_about() {
        let value = r#"{"event_id": "e-1", "event_type": "x\u001b[31m", "secret": "canary",
            "source_service": ["canary"], "data": {"essay": "canary text", "batch_id": 1}}"#;
        let delivery = delivery(value);
        let hash = Sha256::digest(&delivery.value);
        let record = about(&delivery, &hash);
        assert!(record.is_the_same);
        assert_eq!(record.data_fields, ["batch_id", "essay"]);
        let letter = DeadLetter {
            consumer: "bos".to_owned(),
            topic: "t".to_owned(),
            partition: 3,
            offset: 7,
            event_id: None,
            batch_id: None,
            error_code: "wrong_type".to_owned(),
            value_sha256: vec![1; 32],
            at: DateTime::UNIX_EPOCH,
            after_revision: None,
        };
        let place = "huleedu.els.batch.phase.outcome.v1/3/7".parse().unwrap();
        let shown = shown(place, letter, Some(delivery));
        let (text, json) = (text(&shown), serde_json::to_string(&shown).unwrap());
        for told in [&text, &json] {
            assert!(told.contains("e-1") && !told.contains("canary"), "{told}");
        }
        assert!(text.contains("NOT the bytes") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn what_is_no_envelope_is_said_to_be_none() {
        for value in ["", "[1]", "\u{0}", "{\"a\": 1}"] {
            assert!(about(&delivery(value), &[]).envelope.is_empty(), "{value}");
        }
    }
}
