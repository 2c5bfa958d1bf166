//! The log of the process, on standard error: one line per event, at a level, written by a thread of its own.

mod limit;
mod queue;

use std::io::{self, IsTerminal as _};
use std::panic;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine::spans::TARGET;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer, Registry};

use limit::{Limit, Limited};
use queue::{Pen, Queue};

/// How long the last lines may take when the process ends (chosen): a reader that is there takes them in no time.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The lines of this process that wait.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

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
pub type TraceLayer = Box<dyn Layer<Layered<Targets, Registry>> + Send + Sync>;

/// The crates of this program; the libraries that they use log one level less.
const OWN_CRATES: [&str; 15] = [
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
    "secret",
    "service",
    "store",
    "string_enum",
    "telemetry",
];

/// Why the process has no log.
#[derive(Debug, thiserror::Error)]
pub enum CannotLog {
    /// The process has a log already.
    #[error(transparent)]
    HasLog(#[from] TryInitError),
    /// The system refused the thread that writes.
    #[error("cannot start the thread of the log")]
    NoThread(#[from] io::Error),
}

/// Sends the log of this process to standard error, and panics to the log.
///
/// Writing a line never waits for its reader: lines that find the queue full are dropped, and lines of one kind beyond 100 in
/// a second are left out; how many is logged. Call [`flush_log`] before the process ends.
///
/// # Errors
/// When the process has a log already, or no thread is left to write it.
pub fn init_log(level: LogLevel, format: LogFormat) -> Result<(), CannotLog> {
    init_log_and_traces(level, format, None)
}

/// As [`init_log`], with a layer that receives the spans of traces. Without one, no spans are made.
///
/// # Errors
/// As [`init_log`].
pub fn init_log_and_traces(
    level: LogLevel,
    format: LogFormat,
    traces: Option<TraceLayer>,
) -> Result<(), CannotLog> {
    let json = match format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let (queue, limit) = (Arc::<Queue>::default(), Arc::<Limit>::default());
    let pen = Pen(Arc::clone(&queue));
    let writer = move || pen.clone();
    if json {
        json_log(level, writer, traces, Arc::clone(&limit)).try_init()?;
    } else {
        let text = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(io::stderr().is_terminal());
        log_with(text, level, traces, Arc::clone(&limit)).try_init()?;
    }
    queue.start(limit, io::stderr())?;
    // The first log of a process is its only one, so nothing is there yet.
    let _ = QUEUE.set(queue);
    hook_panics();
    Ok(())
}

/// Waits until the lines of the log are written, for at most a second. Call it before the process ends.
pub fn flush_log() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(LAST_LINES);
    }
}

/// One JSON object per line. JSON escapes control characters in values, so a value cannot forge a line.
fn json_log<W>(
    level: LogLevel,
    writer: W,
    traces: Option<TraceLayer>,
    limit: Arc<Limit>,
) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let json = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(writer);
    log_with(json, level, traces, limit)
}

/// What the layer of the log is put on.
type Below = Layered<Option<TraceLayer>, Layered<Targets, Registry>>;

/// The log of this process, written by `lines`.
fn log_with(
    lines: impl Layer<Below> + Send + Sync,
    level: LogLevel,
    traces: Option<TraceLayer>,
    limit: Arc<Limit>,
) -> impl Subscriber + Send + Sync {
    let filter_spans = without_spans(traces.as_ref());
    let limited = Limited { layer: lines, limit };
    tracing_subscriber::registry()
        .with(filter(level, traces.is_some()))
        .with(traces)
        .with(limited.with_filter(filter_spans))
}

/// Keeps the spans of traces from the log layer, which would spend time on them.
fn without_spans(traces: Option<&TraceLayer>) -> Option<FilterFn> {
    let of_log: fn(&Metadata<'_>) -> bool = |metadata| metadata.target() != TARGET;
    traces.map(|_| FilterFn::new(of_log))
}

fn filter(level: LogLevel, with_traces: bool) -> Targets {
    let (own, others) = match level {
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Warning => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Error | LogLevel::Critical => (LevelFilter::ERROR, LevelFilter::ERROR),
    };
    let traces = if with_traces { LevelFilter::INFO } else { LevelFilter::OFF };
    Targets::new()
        .with_default(others)
        .with_targets(OWN_CRATES.map(|name| (name, own)))
        .with_target(TARGET, traces)
}

/// Logs the location of a panic and nothing else, because its message may quote essay text.
pub fn hook_panics() {
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "panicked");
        // It may be the panic that ends the process.
        flush_log();
    }));
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::{LogLevel, json_log};

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
        let log = json_log(LogLevel::Info, move || writer.clone(), None, Arc::default());
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
