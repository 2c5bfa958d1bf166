//! `bos outbox replay`.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;
use store::{Lane, SentCount, Store};

use crate::commands::Exit;
use crate::commands::database::installation;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;

/// Send once more what was sent since some time, after a broker lost it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos outbox replay --since 2h --dry-run\n  \
    bos outbox replay --since 2026-11-24T08:00:00Z --yes\n\n\
    Under the same event ids, with the same bytes and in the same order: who has a message drops its repetition.\n\
    What waits already is left as it is. Running it twice sends twice, unless --until ends before the first run.")]
pub(super) struct ReplayCommand {
    /// From when on: an instant (RFC 3339), or how long ago
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: When,
    /// Up to when; the default is now
    #[arg(long, value_name = "TIME", value_parser = when)]
    until: Option<When>,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Send it
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// An instant as somebody says it.
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
    ago.map(When::Ago)
        .ok_or("an instant such as 2026-11-24T08:00:00Z is expected, or how long ago, such as 2h")
}

impl When {
    /// By the database's clock, which is the one that wrote when a message was sent.
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
        let config = self.settings.load_for_upkeep()?.config;
        if config.kafka_bootstrap_servers.is_none() {
            output.note(
                "The embedded log keeps its records itself, and a broker that could lose them there is none.",
            );
            return Ok(Exit::Ok);
        }
        let store = installation::open(&config).await?;
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
        output.note(&format!("{messages} messages were sent in that time; nothing is changed."));
        return Ok(Exit::Ok);
    }
    if !yes {
        output.note(&format!("{messages} messages would be sent once more; add --yes to do it."));
        return Ok(Exit::Usage);
    }
    let mut again = 0;
    for shard in 0..shards {
        let unit =
            store.unit(Lane::Caller, move |tx| Box::pin(async move { tx.resend(shard, since, until).await }));
        let put_back: Result<u64, store::Error> = unit.await;
        again += put_back?;
    }
    output.note(&format!("{again} messages wait to be sent once more; `bos outbox pending` shows them go."));
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_an_instant_or_how_long_ago() {
        let now = DateTime::parse_from_rfc3339("2026-11-24T10:00:00Z").unwrap().to_utc();
        let resolved = |text| when(text).unwrap().resolve(now).to_rfc3339();
        assert_eq!(resolved("2h"), "2026-11-24T08:00:00+00:00");
        assert_eq!(resolved("2026-11-24T08:30:00+01:00"), "2026-11-24T07:30:00+00:00");
        assert!(when("yesterday").is_err());
    }
}
