//! `bos dead-letter show`.

use api::admin::dead_letters;
use clap::Args;
use client::documents::{DeadLetterDetail, MessagePosition};
use client::read;

use super::{position, record};
use crate::commands::database::backend::{Backend, Database, found};
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};

/// Show a dead letter with the envelope of its message, without the payload.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos dead-letter show huleedu.els.batch.phase.outcome.v1/3/4711")]
pub(super) struct ShowCommand {
    /// Dead letter as `bos dead-letter list` prints it
    #[arg(value_name = "ID", value_parser = position::parse)]
    letter: MessagePosition,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl ShowCommand {
    pub(super) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let shown = match Backend::choose(global, self.settings).await? {
            Backend::Server(client) => {
                let answer = found(client.get(&position::path(&self.letter), &[]).await)?;
                answer.map(read::<DeadLetterDetail>).transpose()?.map(|detail| (detail, Exit::Ok))
            }
            Backend::Database(database) => in_database(&database, &self.letter, output).await?,
        };
        let Some((detail, exit)) = shown else {
            output.note(&format!(
                "There is no dead letter {}; `bos dead-letter list` lists them.",
                self.letter
            ));
            return Ok(Exit::NotFound);
        };
        output.one(&detail, text)?;
        Ok(exit)
    }
}

/// Reads a dead letter and its message. When the bus fails, it is shown without the message, and the command fails.
async fn in_database(
    database: &Database,
    position: &MessagePosition,
    output: &Output,
) -> anyhow::Result<Option<(DeadLetterDetail, Exit)>> {
    let store = database.open().await?;
    let Some(letter) = dead_letters::find(&store, position).await? else { return Ok(None) };
    let delivery = record::fetch(&database.config, &store, position).await;
    store.close().await;
    if let Err(error) = &delivery {
        output.note(&format!("{error:#}"));
    }
    let exit = if delivery.is_ok() { Exit::Ok } else { Exit::Failed };
    Ok(Some((dead_letters::detail(letter, delivery.ok().flatten().as_ref()), exit)))
}

fn text(detail: &DeadLetterDetail) -> String {
    let mut lines = vec![
        format!("id            {}", detail.id),
        format!("code          {}", detail.error_code),
        format!("set aside     {} by {}", detail.set_aside_at.to_rfc3339(), detail.consumer),
        format!("sha-256       {}", detail.value_sha256),
    ];
    if let Some(record) = &detail.record {
        let same = if record.is_the_same { "unchanged" } else { "NOT the bytes that were dead-lettered" };
        lines.push(format!("message       {} bytes, {same}", record.size_bytes));
        lines.push(format!("key           {}", record.key));
        for (name, value) in &record.envelope {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            lines.push(format!("{name:<13} {value}"));
        }
        if record.envelope.is_empty() {
            lines.push("envelope      none: not a JSON object, or without the envelope's fields".to_owned());
        }
        if !record.data_fields.is_empty() {
            lines.push(format!("data fields   {}", record.data_fields.join(", ")));
        }
    } else {
        lines.push("message       not available: the bus no longer has it, or does not answer".to_owned());
    }
    lines.iter().map(|line| client::clean(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use client::documents::DeadLetterRecord;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_text_shows_the_envelope_and_no_control_characters() {
        let envelope = json!({"event_id": "e-1", "event_type": "x\u{1b}[31m"});
        let record = DeadLetterRecord {
            key: "k".to_owned(),
            size_bytes: 7,
            is_the_same: false,
            envelope: envelope.as_object().unwrap().clone(),
            data_fields: vec!["essay".to_owned()],
        };
        let detail = DeadLetterDetail {
            id: "huleedu.els.batch.phase.outcome.v1/3/7".to_owned(),
            consumer: "bos".to_owned(),
            error_code: "wrong_type".to_owned(),
            set_aside_at: DateTime::UNIX_EPOCH,
            value_sha256: "01".repeat(32),
            record: Some(record),
        };
        let text = text(&detail);
        assert!(text.contains("NOT the bytes") && text.contains("e-1") && !text.contains('\u{1b}'), "{text}");
    }
}
