//! Logs, metrics and traces: where they go and in which shape.

pub mod sampling;
#[cfg(feature = "otlp")]
pub mod traces;

use std::io::{self, IsTerminal as _};
use std::panic;
use std::sync::Arc;

use engine::spans::TARGET;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::words::{LogFormat, LogLevel};
use crate::metrics;

/// Who listens to the spans of traces.
pub type TraceLayer = Box<dyn Layer<Layered<EnvFilter, Registry>> + Send + Sync>;

/// The crates of this program; the libraries below them speak one level less.
const OWN_CRATES: [&str; 5] = ["bos", "companions", "contract", "engine", "store"];

/// Sends the log of this process to standard error, and panics to the log.
///
/// # Errors
/// When the process has a log already.
pub fn init_log(level: LogLevel, format: LogFormat) -> Result<(), TryInitError> {
    init_log_and_traces(level, format, None)
}

/// As [`init_log`], with somebody who listens to the spans of traces; without, none are made.
///
/// # Errors
/// When the process has a log already.
pub fn init_log_and_traces(
    level: LogLevel,
    format: LogFormat,
    traces: Option<TraceLayer>,
) -> Result<(), TryInitError> {
    let json = match format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    if json {
        json_log(level, io::stderr, traces).try_init()?;
    } else {
        let text =
            tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
        let quiet = quiet(traces.as_ref());
        tracing_subscriber::registry()
            .with(filter(level, traces.is_some()))
            .with(traces)
            .with(text.with_filter(quiet))
            .try_init()?;
    }
    hook_panics();
    Ok(())
}

/// One JSON object per line; whatever a value holds, JSON escapes its control characters.
fn json_log<W>(level: LogLevel, writer: W, traces: Option<TraceLayer>) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let json = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(writer);
    let quiet = quiet(traces.as_ref());
    tracing_subscriber::registry()
        .with(filter(level, traces.is_some()))
        .with(traces)
        .with(json.with_filter(quiet))
}

/// The log has nothing to do with the spans of traces, and must not spend time on them.
fn quiet(traces: Option<&TraceLayer>) -> Option<FilterFn> {
    let of_log: fn(&Metadata<'_>) -> bool = |metadata| metadata.target() != TARGET;
    traces.map(|_| FilterFn::new(of_log))
}

fn filter(level: LogLevel, with_traces: bool) -> EnvFilter {
    let (own, others) = match level {
        LogLevel::Debug => ("debug", "info"),
        LogLevel::Info => ("info", "warn"),
        LogLevel::Warning => ("warn", "warn"),
        LogLevel::Error | LogLevel::Critical => ("error", "error"),
    };
    let own = OWN_CRATES.map(|name| format!("{name}={own}")).join(",");
    let traces = if with_traces { "info" } else { "off" };
    EnvFilter::new(format!("{others},{own},{TARGET}={traces}"))
}

/// Says where a panic happened and nothing else: its message may quote what was being worked on.
pub fn hook_panics() {
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "panicked");
    }));
}

/// The figures of this process; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<PrometheusHandle>);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Makes this process count.
    ///
    /// # Errors
    /// When the process counts already.
    pub fn install() -> Result<Self, BuildError> {
        let handle = builder()?.install_recorder()?;
        metrics::describe();
        Ok(Self(Arc::new(handle)))
    }

    /// The figures as Prometheus reads them. To be called now and then: it also tidies the histograms.
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
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::{builder, json_log};
    use crate::config::words::LogLevel;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_forged_line_stays_inside_its_own() {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = json_log(LogLevel::Info, move || writer.clone(), None);
        tracing::subscriber::with_default(log, || {
            let span = tracing::info_span!("request", correlation.id = "one");
            let _entered = span.enter();
            tracing::info!(target: "bos", forged = "x\r\n{\"level\":\"ERROR\"}\u{1b}[31m", "said");
            tracing::debug!(target: "bos", "too quiet to be heard");
        });
        let bytes = lines.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.trim_end().contains(char::is_control));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "said");
        assert_eq!(line["spans"][0]["correlation.id"], "one");
    }

    #[test]
    fn figures_are_rendered_with_closed_labels() {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!(crate::metrics::HTTP_REQUESTS, "status" => "200").increment(2);
            metrics::histogram!(crate::metrics::HTTP_REQUEST_SECONDS).record(0.02);
        });
        let page = handle.render();
        assert!(page.contains("bos_http_requests_total{status=\"200\"} 2"), "{page}");
        assert!(page.contains("bos_http_request_duration_seconds_bucket{le=\"0.025\"} 1"), "{page}");
    }
}
