//! Traces: the spans that the service makes, sent to a collector by OTLP.
//!
//! Spans are made by whoever has something to say ([`engine::spans`]); `layer.rs` collects what they say and gives it to
//! `export.rs`, which never lets anybody wait: what the collector cannot take is dropped and counted.

mod export;
mod layer;

use std::sync::Arc;
use std::time::Duration;

pub use export::CannotExport;
use export::Exporter;
use layer::SpanLayer;

use super::TraceLayer;
use crate::config::Config;

/// How long the last spans may take at a stop.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// The export of one process.
#[derive(Debug, Clone)]
pub struct Traces(Arc<Exporter>);

impl Traces {
    /// Begins to export to the configured collector; none where none is configured. Within a runtime, which does the sending.
    ///
    /// # Errors
    /// When OpenTelemetry does not take the settings.
    pub fn start(config: &Config) -> Result<Option<Self>, CannotExport> {
        let Some(collector) = &config.otel_exporter_otlp_endpoint else { return Ok(None) };
        Ok(Some(Self(Arc::new(Exporter::start(collector, config)?))))
    }

    /// What has to listen to the process's spans.
    pub fn layer(&self) -> TraceLayer {
        Box::new(SpanLayer::new(Arc::clone(&self.0)))
    }

    /// Sends what is left, for a short time.
    pub async fn end(self) {
        // A collector that is away must not hold up the stop, and a panic over there is no matter any more.
        let _ = tokio::task::spawn_blocking(move || self.0.end(LAST_SPANS)).await;
    }
}
