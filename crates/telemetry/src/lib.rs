//! Logs, metrics, traces and named background tasks of one process.

pub mod log;
mod metrics;
pub mod sampling;
pub mod tasks;
#[cfg(feature = "otlp")]
pub mod traces;

use std::sync::Arc;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub use log::{LogFormat, LogLevel, TraceLayer, flush_log, hook_panics, init_log, init_log_and_traces};
pub use tasks::Tasks;

/// The metrics of this process. Clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<PrometheusHandle>);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Installs the recorder of this process.
    ///
    /// # Errors
    /// When the process has a recorder already.
    pub fn install() -> Result<Self, BuildError> {
        let handle = builder()?.install_recorder()?;
        engine::metrics::describe();
        metrics::describe();
        Ok(Self(Arc::new(handle)))
    }

    /// The metrics in the text format of Prometheus. Must be called regularly, because it also compacts the histograms.
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &metrics::SECONDS_BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::builder;

    #[test]
    fn metrics_are_rendered_with_labels_from_closed_sets() {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        ::metrics::with_local_recorder(&recorder, || {
            ::metrics::counter!("bos_http_requests_total", "status" => "200").increment(2);
            ::metrics::histogram!("bos_http_request_duration_seconds").record(0.02);
        });
        let page = handle.render();
        assert!(page.contains("bos_http_requests_total{status=\"200\"} 2"), "{page}");
        assert!(page.contains("bos_http_request_duration_seconds_bucket{le=\"0.025\"} 1"), "{page}");
    }
}
