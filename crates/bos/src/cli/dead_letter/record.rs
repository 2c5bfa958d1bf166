//! The message of a dead letter, read from its place on the bus.

#[cfg(feature = "kafka")]
use anyhow::Context as _;
use engine::ports::Delivery;
use store::Store;

use super::place::Place;
use crate::config::Config;

/// Bytes read of the embedded log at most.
const LOG_BYTES: usize = 8 << 20;
/// How long Kafka may take.
#[cfg(feature = "kafka")]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Reads the message at a place; none when the bus no longer has it.
pub(super) async fn fetch(config: &Config, store: &Store, place: Place) -> anyhow::Result<Option<Delivery>> {
    #[cfg(feature = "kafka")]
    if let Some(settings) = crate::kafka::settings::KafkaSettings::of(config) {
        let away = format!("Kafka at {} does not give the record {place}", settings.bootstrap_servers);
        let Ok(partition) = i32::try_from(place.partition) else { return Ok(None) };
        let read =
            move || crate::kafka::record::fetch(&settings, place.topic, partition, place.offset, PATIENCE);
        let read = tokio::task::spawn_blocking(read).await.context("the reader of Kafka panicked")?;
        return read.context(away);
    }
    debug_assert!(config.kafka_bootstrap_servers.is_none() || cfg!(feature = "kafka"), "refused before");
    let page = store.read(move |tx| {
        Box::pin(async move { tx.read_log(place.offset - 1, &[place.topic.as_str()], 1, LOG_BYTES).await })
    });
    let page: Result<store::LogPage, store::Error> = page.await;
    let record = page?.records.pop().filter(|record| record.id == place.offset);
    Ok(record.map(|record| Delivery {
        topic: place.topic,
        partition: place.partition,
        offset: place.offset,
        key: record.row.key,
        value: record.row.value.into(),
        trace: None,
    }))
}
