//! `bos outbox replay`.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;
use store::{Lane, SentCount, Store};

use crate::commands::Exit;
use crate::commands::database::backend::Database;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;

/// Send again what was sent in a period, after a broker has lost it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos outbox replay --since 2h --dry-run\n  \
    bos outbox replay --since 2026-11-24T08:00:00Z --yes\n\n\
    The messages keep their event ids, bytes and order, so receivers drop those that they have.\n\
    Messages that are pending already are not touched. A second run sends the messages again, unless\n\
    --until is before the first run. Needs Kafka, so it opens PostgreSQL and asks no server.")]
pub(super) struct ReplayCommand {
    /// Start of the period: a time (RFC 3339), or how long ago
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: When,
    /// End of the period; the default is now
    #[arg(long, value_name = "TIME", value_parser = when)]
    until: Option<When>,
    /// Count what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Send the messages
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// A time as it is given on the command line.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    At(DateTime<Utc>),
    Ago(TimeDelta),
}

fn when(text: &str) -> Result<When, &'static str> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(When::At(at.to_utc()));
    }
    let ago = humantime::parse_duration(text).ok().and_then(|ago| TimeDelta::from_std(ago).ok());
    ago.map(When::Ago).ok_or("a time such as 2026-11-24T08:00:00Z is expected, or how long ago, such as 2h")
}

impl When {
    /// The time by the database's clock, which also dates the sent messages.
    fn resolve(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.checked_sub_signed(ago).unwrap_or(DateTime::UNIX_EPOCH),
        }
    }
}

#[derive(Serialize)]
struct Row {
    topic: String,
    messages: i64,
    bytes: i64,
    first_sent_at: DateTime<Utc>,
    last_sent_at: DateTime<Utc>,
}

impl From<SentCount> for Row {
    fn from(count: SentCount) -> Self {
        Self {
            topic: count.topic,
            messages: count.messages,
            bytes: count.bytes,
            first_sent_at: count.first_at,
            last_sent_at: count.last_at,
        }
    }
}

impl ReplayCommand {
    pub(super) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let config = self.settings.load_for_maintenance()?.config;
        if config.kafka_bootstrap_servers.is_none() {
            output.note(
                "The embedded log is in the database and loses no message that is sent; nothing is changed.",
            );
            return Ok(Exit::Ok);
        }
        let store = Database::new(config).open().await?;
        let exit = replay(&store, (self.since, self.until), (self.dry_run, self.yes), output).await;
        store.close().await;
        exit
    }
}

async fn replay(
    store: &Store,
    (since, until): (When, Option<When>),
    (dry_run, yes): (bool, bool),
    output: &Output,
) -> anyhow::Result<Exit> {
    let count = store.read(move |tx| {
        Box::pin(async move {
            let now = tx.now();
            let since = since.resolve(now);
            let until = until.map_or(now, |until| until.resolve(now));
            Ok((since, until, tx.sent_by_topic(since, until).await?, tx.shards().await?))
        })
    });
    let counted: Result<_, store::Error> = count.await;
    let (since, until, counts, shards) = counted?;
    let rows: Vec<Row> = counts.into_iter().map(Row::from).collect();
    output.rows(&["topic", "messages", "bytes", "first sent", "last sent"], &rows, |row| {
        vec![
            row.topic.clone(),
            row.messages.to_string(),
            row.bytes.to_string(),
            row.first_sent_at.to_rfc3339(),
            row.last_sent_at.to_rfc3339(),
        ]
    })?;
    let messages: i64 = rows.iter().map(|row| row.messages).sum();
    if messages == 0 || dry_run {
        output.note(&format!("{messages} messages were sent in that period; nothing is changed."));
        return Ok(Exit::Ok);
    }
    if !yes {
        output.note(&format!("{messages} messages would be sent again; add --yes to send them."));
        return Ok(Exit::Usage);
    }
    let mut again = 0;
    for shard in 0..shards {
        let unit =
            store.unit(Lane::Caller, move |tx| Box::pin(async move { tx.resend(shard, since, until).await }));
        let put_back: Result<u64, store::Error> = unit.await;
        again += put_back?;
    }
    output.note(&format!(
        "{again} messages are pending again; `bos outbox pending` lists those that are not sent yet."
    ));
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_absolute_or_relative_to_now() {
        let now = DateTime::parse_from_rfc3339("2026-11-24T10:00:00Z").unwrap().to_utc();
        let resolved = |text| when(text).unwrap().resolve(now).to_rfc3339();
        assert_eq!(resolved("2h"), "2026-11-24T08:00:00+00:00");
        assert_eq!(resolved("2026-11-24T08:30:00+01:00"), "2026-11-24T07:30:00+00:00");
        assert!(when("yesterday").is_err());
    }
}
