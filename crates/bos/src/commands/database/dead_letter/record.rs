//! The message of a dead letter, read from its place on the bus.

#[cfg(feature = "kafka")]
use anyhow::Context as _;
use engine::LocalBroker;
use engine::ports::{Broker as _, Delivery, RecordPosition};
use store::Store;

use super::place::Place;
use service::config::Config;

/// Reads the message at a place; none when the bus no longer has it.
pub(super) async fn fetch(config: &Config, store: &Store, place: Place) -> anyhow::Result<Option<Delivery>> {
    let places = vec![RecordPosition { partition: place.partition, offset: place.offset }];
    #[cfg(feature = "kafka")]
    if let Some(settings) = service::settings::kafka_settings(config) {
        let away = format!("Kafka at {} does not give the record {place}", settings.bootstrap_servers);
        let read = move || kafka::record::fetch(&settings, place.topic, &places);
        let read = tokio::task::spawn_blocking(read).await.context("the reader of Kafka panicked")?;
        return Ok(read.context(away)?.pop());
    }
    debug_assert!(config.kafka_bootstrap_servers.is_none() || cfg!(feature = "kafka"), "refused before");
    let bus = LocalBroker::open(store.clone()).await?;
    Ok(bus.fetch(place.topic, places).await?.pop())
}
