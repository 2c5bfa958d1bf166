//! Logs, metrics, traces and named background tasks of one process.

mod metrics;
pub mod sampling;
pub mod tasks;
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

pub use tasks::Tasks;

/// How much is logged: this level and everything graver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Every step, for finding a fault.
    Debug,
    /// One line per decision.
    Info,
    /// What an operator should look at.
    Warning,
    /// What failed.
    Error,
    /// The platform's word for the gravest level; the same as `Error` here.
    Critical,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// A layer that receives the spans of traces.
pub type TraceLayer = Box<dyn Layer<Layered<EnvFilter, Registry>> + Send + Sync>;

/// The crates of this program; the libraries that they use log one level less.
const OWN_CRATES: [&str; 14] = [
    "api",
    "audit",
    "bos",
    "client",
    "companions",
    "contract",
    "domain",
    "engine",
    "invariants",
    "kafka",
    "service",
    "store",
    "string_enum",
    "telemetry",
];

/// Sends the log of this process to standard error, and panics to the log.
///
/// # Errors
/// When the process has a log already.
pub fn init_log(level: LogLevel, format: LogFormat) -> Result<(), TryInitError> {
    init_log_and_traces(level, format, None)
}

/// As [`init_log`], with a layer that receives the spans of traces. Without one, no spans are made.
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
        let filter_spans = without_spans(traces.as_ref());
        tracing_subscriber::registry()
            .with(filter(level, traces.is_some()))
            .with(traces)
            .with(text.with_filter(filter_spans))
            .try_init()?;
    }
    hook_panics();
    Ok(())
}

/// One JSON object per line. JSON escapes control characters in values, so a value cannot forge a line.
fn json_log<W>(level: LogLevel, writer: W, traces: Option<TraceLayer>) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let json = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(writer);
    let filter_spans = without_spans(traces.as_ref());
    tracing_subscriber::registry()
        .with(filter(level, traces.is_some()))
        .with(traces)
        .with(json.with_filter(filter_spans))
}

/// Keeps the spans of traces from the log layer, which would spend time on them.
fn without_spans(traces: Option<&TraceLayer>) -> Option<FilterFn> {
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

/// Logs the location of a panic and nothing else, because its message may quote essay text.
pub fn hook_panics() {
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "panicked");
    }));
}

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
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::{LogLevel, builder, json_log};

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
    fn a_forged_line_stays_inside_one_line() {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = json_log(LogLevel::Info, move || writer.clone(), None);
        tracing::subscriber::with_default(log, || {
            let span = tracing::info_span!("request", correlation.id = "one");
            let _entered = span.enter();
            tracing::info!(target: "bos", forged = "x\r\n{\"level\":\"ERROR\"}\u{1b}[31m", "said");
            tracing::debug!(target: "bos", "below the level");
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

    #[test]
    fn every_crate_of_the_program_logs_at_the_configured_level() {
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut names: Vec<String> = std::fs::read_dir(crates)
            .unwrap()
            .map(|folder| folder.unwrap().file_name().into_string().unwrap().replace('-', "_"))
            .collect();
        names.sort();
        assert_eq!(names, super::OWN_CRATES);
    }
}
