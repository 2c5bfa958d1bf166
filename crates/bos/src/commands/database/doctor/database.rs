//! The database, and what waits in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use engine::backlog::Queues;
use engine::ports::{Clock as _, SystemClock};
use secrecy::ExposeSecret as _;
use store::{Health, ShardDistribution, Store};

use super::NEIGHBOUR_PATIENCE;
use super::finding::{Finding, ago, causes, in_time};
use super::machine::{Server, server};
use crate::commands::database::backend::has_server;
use service::config::Config;

/// Two clocks may differ by so much. Deadlines and leases go by the database's alone; what people read is compared with their
/// own clock, and tokens and logs with everybody's.
const SKEW: TimeDelta = TimeDelta::seconds(5);
/// An open transaction of this age keeps what was deleted since in the tables, which slows the relay down.
const OLD_TRANSACTION: Duration = Duration::from_mins(10);
/// What waits longer than this in a queue that is worked at all times is stuck.
const STUCK: TimeDelta = TimeDelta::minutes(5);

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    in_time("database", connect(config)).await
}

async fn connect(config: &Config) -> Vec<Finding> {
    let Some(url) = &config.database_url else { return embedded(config).await };
    match Store::inspect_postgres(url.0.expose_secret()).await {
        Ok(store) => about(config, &store).await,
        Err(error) => {
            let mend = "see that it runs, that DATABASE_URL names it, and that its role may log in";
            vec![Finding::failure("database", causes(error), mend)]
        }
    }
}

/// Asks the server of this configuration, and opens the file when no server runs.
async fn embedded(config: &Config) -> Vec<Finding> {
    let file = config.data_dir.join("bos.db");
    if !file.exists() {
        let found = format!("{} is not there yet: `bos serve` makes it", file.display());
        return vec![Finding::ok("database", found)];
    }
    if let Some(server) = running(config).await {
        let found = format!("{} is left to the server at {}", file.display(), server.address);
        return vec![Finding::ok("database", found), server.finding];
    }
    match Store::inspect_sqlite(&file, Arc::new(|| SystemClock::default().now())) {
        Ok(store) => {
            let mut findings = about(config, &store).await;
            findings.push(Finding::ok("server", "none runs on this data folder"));
            store.close().await;
            findings
        }
        Err(error) => {
            let mend = "if a server has it open, name its --host and --port; then the server is asked";
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
        Err(error) => vec![Finding::failure("database", causes(error), "see its log")],
    }
}

fn judged(config: &Config, health: &Health, now: DateTime<Utc>, took: Duration) -> Vec<Finding> {
    let found = format!("{} answers in {} ms", health.server, took.as_millis());
    let mut findings = vec![if health.read_only {
        Finding::failure(
            "database",
            format!("{found}, and takes no writes"),
            "name the primary in DATABASE_URL",
        )
    } else {
        Finding::ok("database", found)
    }];
    findings.push(if health.unsafe_settings.is_empty() {
        Finding::ok("durability", "what is acknowledged is on its disk")
    } else {
        let settings = health.unsafe_settings.join(", ");
        Finding::failure(
            "durability",
            format!("off: {settings}; what was acknowledged may be lost"),
            "turn them on",
        )
    });
    if !health.denied.is_empty() {
        let found = format!("no right to read and write {}", health.denied.join(", "));
        let mend =
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO the role of DATABASE_URL";
        findings.push(Finding::failure("rights", found, mend));
    } else if config.database_url.is_some() {
        findings.push(Finding::ok("rights", "the role may read and write every table"));
    }
    if config.database_url.is_some() {
        let skew = health.now - now;
        let found = format!("the database's clock is {} ms from this machine's", skew.num_milliseconds());
        findings.push(if skew.abs() <= SKEW {
            Finding::ok("clock", found)
        } else {
            Finding::warning("clock", found, "have both follow the same time server (NTP)")
        });
    }
    if let Some((open, allowed)) = health.connections {
        let ours = i64::from(config.database_max_connections.get());
        let found = format!("{open} of {allowed} connections open; one process holds up to {ours}");
        findings.push(if open + ours <= allowed {
            Finding::ok("connections", found)
        } else {
            let mend = "raise max_connections, or lower database_max_connections";
            Finding::warning("connections", found, mend)
        });
    }
    findings.extend(archive(health));
    if let Some(age) = health.oldest_transaction.filter(|age| *age >= OLD_TRANSACTION) {
        let found = format!("the oldest has been open for {}", humantime::format_duration(age));
        let mend = "end it: SELECT pid, state, query FROM pg_stat_activity ORDER BY xact_start";
        findings.push(Finding::warning("transactions", found, mend));
    }
    findings
}

fn archive(health: &Health) -> Vec<Finding> {
    match health.days_ahead {
        Some(0) => {
            let found = "tomorrow has no partition: what is sent then is deleted row by row";
            let mend = "bos migrate up, once a day as the owner; or make the role of DATABASE_URL the owner of outbox_sent";
            vec![Finding::warning("partitions", found, mend)]
        }
        Some(days) => vec![Finding::ok("partitions", format!("of outbox_sent for {days} days to come"))],
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
            let found =
                format!("{current}, for programs of schema {min_reader} and newer; this one knows {needed}");
            Finding::failure("schema", found, "install a newer bos")
        }
        Ok(Some((current, _))) => {
            Finding::failure("schema", format!("{current}; this program needs {needed}"), "bos migrate up")
        }
        Ok(None) => Finding::failure("schema", "there are no tables", "bos migrate up"),
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
    let told = |rows: i64, what: &str, age: Option<TimeDelta>| match age {
        Some(age) => format!("{rows} {what}, the oldest for {}", ago(age)),
        None => format!("{rows} {what}"),
    };
    let worked = |check: &str, rows, what: &str, oldest, mend: &str| {
        let age = age(oldest);
        let found = told(rows, what, age);
        if age.is_some_and(|age| age > STUCK) {
            Finding::warning(check, found, mend)
        } else {
            Finding::ok(check, found)
        }
    };
    let aside = |check: &str, rows, what: &str, oldest, mend: &str| {
        let found = told(rows, what, age(oldest));
        if rows > 0 { Finding::warning(check, found, mend) } else { Finding::ok(check, found) }
    };
    let Queues { staged, outbox, timers, dead_letters, .. } = queues;
    vec![
        worked(
            "staged texts",
            staged.rows,
            "texts wait for the Content Service",
            staged.oldest_at,
            "see that it runs and takes texts; they are sent again by themselves",
        ),
        worked(
            "outbox",
            outbox.pending,
            "messages wait for the bus",
            outbox.oldest_at,
            "see the bus; `bos outbox pending` lists them",
        ),
        aside(
            "parked",
            outbox.parked,
            "messages are parked, and hold back their batch",
            outbox.oldest_parked_at,
            "bos outbox pending, then retry or skip them",
        ),
        worked("timers", timers.rows, "timers are overdue", timers.oldest_at, "see that `bos serve` runs"),
        aside(
            "dead letters",
            dead_letters.rows,
            "messages are set aside",
            dead_letters.oldest_at,
            "bos dead-letter list, then replay or drop them",
        ),
    ]
}

async fn replicas(config: &Config, store: &Store) -> Vec<Finding> {
    let ttl = config.lease_ttl;
    let read = store.read(move |tx| Box::pin(async move { tx.shard_distribution(ttl).await }));
    let sharing: Result<ShardDistribution, store::Error> = read.await;
    match sharing {
        // One process has the file, and a doctor who could open it is that process.
        Ok(_) if config.database_url.is_none() => Vec::new(),
        Ok(ShardDistribution { replicas: 0, .. }) => {
            let mend = "start `bos serve`; until then what was accepted waits";
            vec![Finding::warning("replicas", "no process of the service runs", mend)]
        }
        Ok(ShardDistribution { replicas, shards, held }) => {
            let found = format!("{replicas} live, and hold {held} of {shards} shards");
            vec![if held == shards {
                Finding::ok("replicas", found)
            } else {
                let mend = format!("look again in {} s; then see their logs", ttl.as_secs());
                Finding::warning("replicas", found, mend)
            }]
        }
        Err(error) => vec![Finding::failure("replicas", causes(error), "see the database's log")],
    }
}
