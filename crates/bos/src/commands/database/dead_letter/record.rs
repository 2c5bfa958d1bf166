//! The message of a dead letter, read from its position on the bus.

#[cfg(feature = "kafka")]
use anyhow::Context as _;
use api::admin::dead_letters;
use client::documents::MessagePosition;
use engine::LocalBroker;
use engine::ports::Delivery;
#[cfg(feature = "kafka")]
use engine::ports::RecordPosition;
use store::Store;

use service::config::Config;

/// Reads the message at a position. Returns `None` when the bus no longer has it.
pub(super) async fn fetch(
    config: &Config,
    store: &Store,
    position: &MessagePosition,
) -> anyhow::Result<Option<Delivery>> {
    #[cfg(feature = "kafka")]
    if let Some(settings) = service::settings::kafka_settings(config) {
        let Ok(topic) = position.topic.parse() else { return Ok(None) };
        let records = vec![RecordPosition { partition: position.partition, offset: position.offset }];
        let failed = format!("Kafka at {} does not return the record {position}", settings.bootstrap_servers);
        let read = move || kafka::record::fetch(&settings, topic, &records);
        let read = tokio::task::spawn_blocking(read).await.context("the reader of Kafka panicked")?;
        return Ok(read.context(failed)?.pop());
    }
    debug_assert!(config.kafka_bootstrap_servers.is_none() || cfg!(feature = "kafka"), "refused before");
    let bus = LocalBroker::open(store.clone()).await?;
    Ok(dead_letters::fetch(&bus, position).await?)
}
