//! Checks that the new Kafka and the new Content Service can be used.

use engine::ports::{ContentError, ContentStore as _};

use super::error::{Error, Refusal};
use crate::config::Config;
use crate::content_client::ContentClient;

/// A valid id that no Content Service assigns.
const IMPOSSIBLE: &str = "00000000000000000000000000000000";

/// Checks that Kafka, if configured, has all topics, and that the Content Service answers a request for a text that it cannot
/// have.
pub(super) async fn neighbours(config: &Config) -> Result<(), Error> {
    #[cfg(feature = "kafka")]
    kafka(config).await?;
    match content(config)?.look_up(IMPOSSIBLE).await {
        Ok(_) | Err(ContentError::Refused { .. }) => Ok(()),
        Err(ContentError::Unavailable { code, .. }) => Err(Refusal::ContentUnreachable { code }.into()),
    }
}

/// A client of the new Content Service.
pub(super) fn content(config: &Config) -> Result<ContentClient, Error> {
    let Some(url) = &config.content_service_url else { return Err(Refusal::NoContent.into()) };
    Ok(ContentClient::new(
        url.as_url(),
        config.ingest_concurrency,
        config.content_connect_timeout,
        config.content_timeout,
    )?)
}

#[cfg(feature = "kafka")]
async fn kafka(config: &Config) -> Result<(), Error> {
    use kafka::admin::Admin;
    use kafka::settings::creation_error;

    let Some(settings) = crate::settings::kafka_settings(config) else { return Ok(()) };
    let all = contract::Topic::ALL;
    let admin = Admin::new(&settings).map_err(|e| Refusal::KafkaUnreachable { why: creation_error(&e) })?;
    let cluster =
        admin.inspect(all).await.map_err(|error| Refusal::KafkaUnreachable { why: error.to_string() })?;
    match all.len() - cluster.topics.len() {
        0 => Ok(()),
        missing => Err(Refusal::TopicsMissing { missing }.into()),
    }
}
