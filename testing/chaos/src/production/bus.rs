//! Kafka, read beside the service: every record from offset 0, and the committed offsets of the consumer
//! group.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use audit::{Audit, AuditWindow};
use chrono::{DateTime, Utc};
use contract::Topic;
use engine::consumer::CONSUMER;
use engine::ports::{Broker as _, Record as Sent};
use kafka::{
    KafkaBroker,
    scan::{self, Record},
    settings::KafkaSettings,
};
use uuid::Uuid;

use crate::{
    canary::{Canary, Sighting},
    database::{Event, OUR_SOURCES, essays_of},
};

/// An unreadable value.
const POISON: &[u8] = b"not an envelope";
/// Unreadable records per round, each with its own key, so that most likely each partition gets some.
const POISONED_KEYS: u128 = 12;

/// The settings of a client that connects through the proxy.
pub(crate) fn settings(port: u16) -> KafkaSettings {
    KafkaSettings {
        message_timeout: std::time::Duration::from_secs(5),
        session_timeout: std::time::Duration::from_secs(6),
        ..KafkaSettings::plaintext(format!("127.0.0.1:{port}"))
    }
}

/// Puts unreadable records on the bus, as a broken peer would. Whether all of them arrive depends on the
/// faults of the moment; the checker counts those that are there at the end.
pub(crate) fn put_poison(settings: &KafkaSettings, round: u128) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let records = (0..POISONED_KEYS).map(|number| {
        let event_id = Uuid::from_u128(round << 32 | number);
        let key = event_id.to_string();
        Sent {
            topic: Topic::BatchPhaseOutcome,
            key,
            event_id,
            value: POISON.to_vec(),
            headers: Vec::new(),
            at: None,
        }
    });
    let broker = KafkaBroker::new(settings.clone()).context("making a client of Kafka")?;
    // When the bus is unavailable, the next round tries again.
    let _ = runtime.block_on(broker.publish(records.collect()));
    Ok(())
}

/// The service's own audit, with the window of a run that is over: nothing is missing, and nothing may wait.
pub(crate) fn audit(settings: &KafkaSettings) -> Result<Audit> {
    let positions = scan::positions(settings, CONSUMER, Topic::READ)
        .context("reading the committed offsets of the group")?;
    let (until, patience) = (DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MAX_UTC);
    Ok(Audit::new(AuditWindow { positions, since: None, until, patience, skew_ms: 0 }))
}

/// All records of the topics.
#[derive(Debug, Default)]
pub(crate) struct Bus {
    pub(crate) records: usize,
    /// In the order of each partition.
    pub(crate) log: Vec<Event>,
    pub(crate) poison: usize,
    /// The number of repeated occurrences of our events.
    pub(crate) duplicates: usize,
    pub(crate) sightings: Vec<Sighting>,
}

impl Bus {
    /// Reads every topic from offset 0.
    pub(crate) fn read(settings: &KafkaSettings, canary: &Canary, audit: &mut Audit) -> Result<Self> {
        let mut bus = Self::default();
        let mut seen: BTreeMap<Uuid, usize> = BTreeMap::new();
        for topic in Topic::ALL {
            let read = scan::read(settings, *topic, None, |record| {
                audit.record(&record);
                bus.take(record, canary, &mut seen);
            });
            read.with_context(|| format!("reading {topic}"))?;
        }
        bus.duplicates = seen.values().map(|times| times - 1).sum();
        Ok(bus)
    }

    fn take(&mut self, record: Record, canary: &Canary, seen: &mut BTreeMap<Uuid, usize>) {
        self.records += 1;
        self.poison += usize::from(record.value == POISON);
        let place = format!("the topic {}", record.topic);
        let words = record.headers.iter().flat_map(|(key, value)| [key.as_bytes(), value.as_bytes()]);
        for bytes in words.chain([record.key.as_slice(), record.value.as_slice()]) {
            self.sightings.extend(canary.sightings(&place, bytes));
        }
        let number = |name: &str| record.header(name).and_then(|text| text.parse().ok());
        let Some(id) = record.header("event_id").and_then(|id| id.parse().ok()) else { return };
        let ours = record.header("source_service").is_some_and(|source| OUR_SOURCES.contains(&source));
        if ours {
            *seen.entry(id).or_default() += 1;
        }
        self.log.push(Event {
            topic: record.topic.as_str().to_owned(),
            key: String::from_utf8_lossy(&record.key).into_owned(),
            id,
            ours,
            key_seq: number("key_seq"),
            attempt: number("attempt"),
            resend: number("resend").unwrap_or_default(),
            essays: essays_of(&serde_json::from_slice(&record.value).unwrap_or_default()),
            partition: record.partition,
            value: record.value,
        });
    }
}
