//! Checks of the database and of the queues in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use engine::backlog::Queues;
use engine::ports::{Clock as _, SystemClock};
use store::{Health, ShardDistribution, Store};

use super::NEIGHBOUR_PATIENCE;
use super::finding::{Finding, ago, causes, in_time};
use super::machine::{Server, server};
use crate::commands::database::backend::has_server;
use service::config::Config;
use service::config::setting::DatabaseUrl;

/// Largest difference of two clocks that is not reported (chosen). Deadlines and leases follow the database's clock only, but
/// timestamps in answers, logs and tokens are compared with other clocks.
const SKEW: TimeDelta = TimeDelta::seconds(5);
/// Age of an open transaction that is reported (chosen). Rows deleted since it began stay in the tables, which slows the relay.
const OLD_TRANSACTION: Duration = Duration::from_mins(10);
/// Age at which an entry of a queue that is always being worked on counts as stuck (chosen).
const STUCK: TimeDelta = TimeDelta::minutes(5);

pub(super) async fn check(config: &Config) -> Vec<Finding> {
    in_time("database", Box::pin(connect(config))).await
}

async fn connect(config: &Config) -> Vec<Finding> {
    let Some(url) = &config.database_url else { return embedded(config).await };
    // A replica on this machine knows which statements the database refuses at present.
    let (mut findings, server) = futures::join!(connected(config, url), running(config));
    findings.extend(server.map(|server| server.finding));
    findings
}

async fn connected(config: &Config, url: &DatabaseUrl) -> Vec<Finding> {
    match Store::inspect_postgres(url.0.clone()).await {
        Ok(store) => about(config, &store).await,
        Err(error) if error.is_refused_login() => {
            let mend = "correct the role, its password and the database in DATABASE_URL or its file, or on the server; a running \
                `bos serve` reads DATABASE_URL_FILE again by itself";
            vec![Finding::failure("database", causes(error), mend)]
        }
        Err(error) => {
            let mend = "check that it runs, that DATABASE_URL names it, and that its role may log in";
            vec![Finding::failure("database", causes(error), mend)]
        }
    }
}

/// Opens the file, or asks the server of this configuration where a process has the file open.
async fn embedded(config: &Config) -> Vec<Finding> {
    let file = config.data_dir.join("bos.db");
    if !file.exists() {
        let found = format!("{} does not exist yet; `bos serve` creates it", file.display());
        return vec![Finding::ok("database", found)];
    }
    match Store::inspect_sqlite(&file, Arc::new(|| SystemClock::default().now())) {
        Ok(store) => {
            let mut findings = about(config, &store).await;
            findings.push(Finding::ok("server", "no server runs on this data folder"));
            store.close().await;
            findings
        }
        Err(error) => {
            if let Some(server) = running(config).await {
                let found = format!("{} is open in the server at {}", file.display(), server.address);
                return vec![Finding::ok("database", found), server.finding];
            }
            let mend = if matches!(error, store::Error::Unfit { .. }) {
                "if a server has it open, name its --host and --port; then the server is asked"
            } else {
                "check the disk and the rights on the data folder; change nothing in it before you have a copy of all of it"
            };
            vec![Finding::failure("database", causes(error), mend)]
        }
    }
}

async fn running(config: &Config) -> Option<Server> {
    let has_server = tokio::time::timeout(NEIGHBOUR_PATIENCE / 2, has_server(config)).await;
    if has_server.unwrap_or(false) { server(config).await } else { None }
}

async fn about(config: &Config, store: &Store) -> Vec<Finding> {
    let (health, schema) =
        futures::join!(in_time("database", health(config, store)), in_time("schema", schema(store)));
    let mut findings = health;
    let is_fit = schema.iter().all(|finding| finding.mend.is_none());
    findings.extend(schema);
    if is_fit {
        let (queues, sharing) =
            futures::join!(in_time("queues", queues(store)), in_time("replicas", replicas(config, store)));
        findings.extend(queues);
        findings.extend(sharing);
    }
    findings
}

async fn health(config: &Config, store: &Store) -> Vec<Finding> {
    let clock = SystemClock::default();
    let asked = Instant::now();
    match store.health().await {
        Ok(health) => judged(config, &health, clock.now(), asked.elapsed()),
        Err(error) => vec![Finding::failure("database", causes(error), "see the database's log")],
    }
}

fn judged(config: &Config, health: &Health, now: DateTime<Utc>, took: Duration) -> Vec<Finding> {
    let found = format!("{} answers in {} ms", health.server, took.as_millis());
    let mut findings = vec![if health.read_only {
        Finding::failure(
            "database",
            format!("{found}, but accepts no writes"),
            "set DATABASE_URL to the primary",
        )
    } else {
        Finding::ok("database", found)
    }];
    if !health.has_all_characters() {
        let found =
            format!("the database has the encoding {}, which cannot store every text", health.encoding);
        let mend = "create a database WITH ENCODING 'UTF8' TEMPLATE template0, and name it in DATABASE_URL";
        findings.push(Finding::failure("encoding", found, mend));
    }
    findings.push(if health.unsafe_settings.is_empty() {
        Finding::ok("durability", "commits are on the disk before they are acknowledged")
    } else {
        let settings = health.unsafe_settings.join(", ");
        Finding::failure(
            "durability",
            format!("off: {settings}; acknowledged work may be lost"),
            "turn these settings on",
        )
    });
    if !health.denied.is_empty() {
        let found = format!("the role may not read and write {}", health.denied.join(", "));
        let mend =
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO the role of DATABASE_URL";
        findings.push(Finding::failure("rights", found, mend));
    } else if config.database_url.is_some() {
        findings.push(Finding::ok("rights", "the role may read and write every table"));
    }
    if config.database_url.is_some() {
        let skew = health.now - now;
        let found =
            format!("the database's clock differs from this machine's by {} ms", skew.num_milliseconds());
        findings.push(if skew.abs() <= SKEW {
            Finding::ok("clock", found)
        } else {
            Finding::warning("clock", found, "synchronize both with the same time server (NTP)")
        });
    }
    if let Some((open, allowed)) = health.connections {
        let own = i64::from(config.database_max_connections.get());
        let found = format!("{open} of {allowed} connections open; one replica opens up to {own}");
        findings.push(if open + own <= allowed {
            Finding::ok("connections", found)
        } else {
            let mend = "raise max_connections, or lower database_max_connections";
            Finding::warning("connections", found, mend)
        });
    }
    findings.extend(archive(health));
    if let Some(age) = health.oldest_transaction.filter(|age| *age >= OLD_TRANSACTION) {
        let found = format!("the oldest transaction has been open for {}", humantime::format_duration(age));
        let mend = "end it: SELECT pid, state, query FROM pg_stat_activity ORDER BY xact_start";
        findings.push(Finding::warning("transactions", found, mend));
    }
    findings
}

fn archive(health: &Health) -> Vec<Finding> {
    match health.days_ahead {
        Some(0) => {
            let found =
                "outbox_sent has no partition for tomorrow: messages sent then are deleted row by row";
            let mend = "run `bos migrate up` once a day as the owner, or make the role of DATABASE_URL the owner of outbox_sent";
            vec![Finding::warning("partitions", found, mend)]
        }
        Some(days) => {
            vec![Finding::ok("partitions", format!("outbox_sent has partitions for the next {days} days"))]
        }
        None => Vec::new(),
    }
}

async fn schema(store: &Store) -> Vec<Finding> {
    let needed = store::SCHEMA;
    vec![match store.schema().await {
        Ok(Some(schema)) if store::supports_schema(schema) => {
            Finding::ok("schema", format!("{}; this program needs {needed}", schema.0))
        }
        Ok(Some((current, min_reader))) if min_reader > needed => {
            let found = format!(
                "{current}, which needs a program of schema {min_reader} or newer; this one has {needed}"
            );
            Finding::failure("schema", found, "install a newer bos")
        }
        Ok(Some((current, _))) => Finding::failure(
            "schema",
            format!("{current}; this program needs {needed}"),
            "run `bos migrate up`",
        ),
        Ok(None) => Finding::failure("schema", "the database has no tables", "run `bos migrate up`"),
        Err(error) => Finding::failure("schema", causes(error), "see the database's log"),
    }]
}

async fn queues(store: &Store) -> Vec<Finding> {
    match Queues::read(store).await {
        Ok(queues) => waiting(&queues),
        Err(error) => vec![Finding::failure("queues", causes(error), "see the database's log")],
    }
}

fn waiting(queues: &Queues) -> Vec<Finding> {
    let age = |oldest: Option<DateTime<Utc>>| oldest.map(|at| queues.at - at);
    let describe = |rows: i64, what: &str, age: Option<TimeDelta>| match age {
        Some(age) => format!("{rows} {what}, the oldest for {}", ago(age)),
        None => format!("{rows} {what}"),
    };
    let worked = |check: &str, rows, what: &str, oldest, mend: &str| {
        let age = age(oldest);
        let found = describe(rows, what, age);
        if age.is_some_and(|age| age > STUCK) {
            Finding::warning(check, found, mend)
        } else {
            Finding::ok(check, found)
        }
    };
    let aside = |check: &str, rows, what: &str, oldest, mend: &str| {
        let found = describe(rows, what, age(oldest));
        if rows > 0 { Finding::warning(check, found, mend) } else { Finding::ok(check, found) }
    };
    let Queues { staged, outbox, timers, dead_letters, .. } = queues;
    vec![
        worked(
            "staged texts",
            staged.rows,
            "texts wait for the Content Service",
            staged.oldest_at,
            "check that it runs and accepts texts; uploads are retried automatically",
        ),
        worked(
            "outbox",
            outbox.pending,
            "messages wait for the event bus",
            outbox.oldest_at,
            "check the event bus; `bos outbox pending` lists the messages",
        ),
        aside(
            "parked",
            outbox.parked,
            "messages are parked; each blocks its batch",
            outbox.oldest_parked_at,
            "run `bos outbox pending`, then retry or skip each message",
        ),
        worked("timers", timers.rows, "timers are overdue", timers.oldest_at, "check that `bos serve` runs"),
        aside(
            "dead letters",
            dead_letters.rows,
            "dead letters",
            dead_letters.oldest_at,
            "run `bos dead-letter list`, then replay or drop each message",
        ),
    ]
}

async fn replicas(config: &Config, store: &Store) -> Vec<Finding> {
    let ttl = config.lease_ttl;
    let read = store.read(move |tx| Box::pin(async move { tx.shard_distribution(ttl).await }));
    let sharing: Result<ShardDistribution, store::Error> = read.await;
    match sharing {
        // Only one process can open the file, and that is this one.
        Ok(_) if config.database_url.is_none() => Vec::new(),
        Ok(ShardDistribution { replicas: 0, .. }) => {
            let mend = "start `bos serve`; accepted work waits until then";
            vec![Finding::warning("replicas", "no replica runs", mend)]
        }
        Ok(ShardDistribution { replicas, shards, held }) => {
            let found = format!("{replicas} live, holding {held} of {shards} shards");
            vec![if held == shards {
                Finding::ok("replicas", found)
            } else {
                let mend = format!(
                    "run it again in {} s; if shards are still free, see the logs of the replicas",
                    ttl.as_secs()
                );
                Finding::warning("replicas", found, mend)
            }]
        }
        Err(error) => vec![Finding::failure("replicas", causes(error), "see the database's log")],
    }
}
