//! Traces: the spans that the service makes, sent to a collector by OTLP.
//!
//! The crates make spans through [`engine::spans`]. `layer.rs` collects them and hands them to `export.rs`, which never
//! blocks: spans that the collector cannot take are dropped and counted.

mod export;
mod layer;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use export::CannotExport;
use export::Exporter;
use layer::SpanLayer;

use super::TraceLayer;

/// How long exporting the last spans may take at a shutdown.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Where traces go.
#[derive(Debug, Clone)]
pub struct Collector {
    /// The full address that takes spans, such as `http://localhost:4318/v1/traces`.
    pub endpoint: String,
    /// Header fields that the collector wants, such as an authorization.
    pub headers: HashMap<String, String>,
    /// The name of this service in traces.
    pub service_name: String,
}

/// The export of one process.
#[derive(Debug, Clone)]
pub struct Traces(Arc<Exporter>);

impl Traces {
    /// Begins to export to `collector`. Must be called within a runtime, which does the sending.
    ///
    /// # Errors
    /// When OpenTelemetry does not take the settings.
    pub fn start(collector: Collector) -> Result<Self, CannotExport> {
        Ok(Self(Arc::new(Exporter::start(collector)?)))
    }

    /// The layer that receives the spans of the process.
    pub fn layer(&self) -> TraceLayer {
        Box::new(SpanLayer::new(Arc::clone(&self.0)))
    }

    /// Exports what is left, for at most 2 s.
    pub async fn end(self) {
        // An error here must not hold up the shutdown.
        let _ = tokio::task::spawn_blocking(move || self.0.end(LAST_SPANS)).await;
    }
}
