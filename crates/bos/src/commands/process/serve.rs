//! `bos serve`: runs the service in the foreground.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::process;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::commands::Exit;
use crate::commands::output::{self, Output};
use crate::commands::settings::SettingsArgs;
use service::config::words::{Auth, Companion};
use service::config::{Config, Error, Loaded};
use service::files;
use service::run::{self, Ready, RunOptions};
#[cfg(feature = "otlp")]
use service::settings::collector;

/// Run the service.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bos serve                         everything embedded, data in ./bos-data\n  \
    bos serve --port 8080 --data-dir /var/lib/bos\n  \
    bos serve --set probe_port=5001   /healthz, /readyz and /metrics also on a port of their own\n\n\
    Ctrl-C or SIGTERM stops it after the work in progress; a second one stops it immediately.")]
pub(crate) struct ServeCommand {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Abort the process at the N-th pass of a crash point
    #[cfg(feature = "crash-points")]
    #[arg(long, value_name = "POINT:N", hide = true)]
    crash_at: Option<crate::commands::process::crash_at::CrashAt>,
}

impl ServeCommand {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let Loaded { config, ignored, warnings, .. } = self.settings.load()?;
        let missing = config.unsupported_settings();
        if !missing.is_empty() {
            return Err(Error(missing).into());
        }
        #[cfg(feature = "otlp")]
        let traces = collector(&config).map(telemetry::traces::Traces::start).transpose()?;
        #[cfg(feature = "otlp")]
        let layer = traces.as_ref().map(telemetry::traces::Traces::layer);
        #[cfg(not(feature = "otlp"))]
        let layer = None;
        telemetry::init_log_and_traces(config.log_level, config.log_format, layer)
            .context("cannot start logging")?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        for variable in ignored {
            tracing::debug!(variable, "variable ignored: Kubernetes sets it for a Service of this name");
        }
        let mut options = RunOptions {
            metrics: telemetry::Metrics::install().ok(),
            #[cfg(feature = "crash-points")]
            crash: self.crash_at.map(crate::commands::process::crash_at::CrashAt::arm).unwrap_or_default(),
            #[cfg(feature = "crash-points")]
            by_relay: self.crash_at.is_some_and(crate::commands::process::crash_at::CrashAt::is_of_relay),
            ..RunOptions::default()
        };
        files::raise_limit();
        let listener = bind(config.host, config.port, "--port ").await?;
        if let Some(port) = config.probe_port {
            options.probes = Some(bind(config.host, port, "--set probe_port=").await?);
        }
        let shutdown = CancellationToken::new();
        let secrets = config.clone();
        let banner = {
            let (config, output) = (config.clone(), output.clone());
            move |ready: Ready| {
                if !output.is_quiet() {
                    // A closed standard output, or one that is not read, does not stop the service.
                    output::aside(move || drop(output.say(&banner(&config, &ready))));
                }
            }
        };
        let service = Box::pin(async {
            let ended = run::run(config, listener, options, shutdown.clone(), Box::new(banner)).await;
            #[cfg(feature = "otlp")]
            if let Some(traces) = traces {
                traces.end().await;
            }
            ended
        });
        tokio::select! {
            ended = service => ended?,
            never = obey_signals(shutdown.clone(), output) => match never {},
            never = read_secrets_again_on_hangup(&secrets) => match never {},
        }
        Ok(Exit::Ok)
    }
}

/// Listens on the address. `flag` is what chooses its port, up to the number.
///
/// # Errors
/// When the system refuses the address; the message says how to choose another.
pub(crate) async fn bind(host: IpAddr, port: u16, flag: &str) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(host, port);
    TcpListener::bind(address).await.map_err(|error| {
        let next_step = next_step(error.kind(), flag);
        anyhow::anyhow!("cannot listen on {address}: {next_step}")
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only three of the many kinds have a next step of their own"
)]
fn next_step(kind: std::io::ErrorKind, flag: &str) -> String {
    match kind {
        std::io::ErrorKind::AddrInUse => {
            format!("the port is in use; choose another with {flag}PORT, or {flag}0 for any free one")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("permission denied; choose a port above 1023 with {flag}PORT")
        }
        std::io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; choose another with --host".to_owned()
        }
        _ => format!("the system refused it; choose another address with --host and {flag}PORT"),
    }
}

/// Cancels `shutdown` at the first Ctrl-C or SIGTERM, and ends the process at the second.
pub(crate) async fn obey_signals(shutdown: CancellationToken, output: &Output) -> Infallible {
    let mut signals = Signals::listen();
    signals.next().await;
    shutdown.cancel();
    let notes = output.clone();
    output::aside(move || {
        notes.note("Stopping after the work in progress; press Ctrl-C again to stop immediately.");
    });
    signals.next().await;
    telemetry::flush_log();
    process::exit(Exit::Failed as i32)
}

/// Reads the secrets that come from files again at each SIGHUP.
pub(crate) async fn read_secrets_again_on_hangup(config: &Config) -> Infallible {
    #[cfg(unix)]
    if let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP: the files of secrets are read again");
            config.read_secrets_again();
        }
    }
    #[cfg(not(unix))]
    let _ = config;
    std::future::pending().await
}

/// The signals that stop the process. The listeners are created once, so that no signal is lost between two waits.
#[cfg(unix)]
struct Signals {
    terminate: Option<tokio::signal::unix::Signal>,
    interrupt: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self {
            terminate: signal(SignalKind::terminate()).ok(),
            interrupt: signal(SignalKind::interrupt()).ok(),
        }
    }

    /// Waits for the next signal; forever, if the system refuses a listener.
    async fn next(&mut self) {
        async fn one(signal: &mut Option<tokio::signal::unix::Signal>) {
            let received = match signal {
                Some(signal) => signal.recv().await,
                None => None,
            };
            if received.is_none() {
                std::future::pending::<()>().await;
            }
        }
        tokio::select! {
            () = one(&mut self.terminate) => {}
            () = one(&mut self.interrupt) => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn data(config: &Config) -> String {
    let database = match &config.database_url {
        // The URL is not printed, because it may contain a password.
        Some(_) => "PostgreSQL".to_owned(),
        None => format!("{} (SQLite, kept across restarts)", config.data_dir.join("bos.db").display()),
    };
    match &config.content_service_url {
        Some(url) => format!("{database}; texts at {}", url.as_str()),
        None => database,
    }
}

fn events(config: &Config) -> String {
    if let Some(brokers) = &config.kafka_bootstrap_servers {
        return format!("Kafka at {}", brokers.joined());
    }
    let companions: Vec<&str> = config.companions.iter().map(Companion::as_str).collect();
    let companions = if companions.is_empty() { "none".to_owned() } else { companions.join(", ") };
    format!("embedded log (no Kafka); companions: {companions}")
}

/// The banner: what runs and where, in at most eight lines.
fn banner(config: &Config, ready: &Ready) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let base = format!("http://{}", ready.address);
    let mut text = format!("bos {version} ready in {:.1} s\n", ready.took.as_secs_f64());
    let auth = match config.auth {
        Auth::Off if ready.address.ip().is_loopback() => "off (loopback only)",
        Auth::Off => "off: every client that reaches this address has full access",
        Auth::Token => "token",
        Auth::Gateway => "gateway",
    };
    let lines = [
        ("API", format!("{base}/v1      docs {base}/docs")),
        ("Data", data(config)),
        ("Events", events(config)),
        ("Auth", auth.to_owned()),
    ];
    let probes = ready.probes.map(|address| ("Probes", format!("http://{address}/readyz")));
    for (name, value) in lines.into_iter().chain(probes) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<11}{value}");
    }
    text + "Try: bos demo     Stop: Ctrl-C"
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::banner;
    use service::config::{Config, Sources};
    use service::run::Ready;

    #[test]
    fn the_banner_is_at_most_eight_lines() {
        let config = Config::load(&Sources::default()).unwrap().config;
        let ready = Ready {
            address: "127.0.0.1:5000".parse().unwrap(),
            probes: None,
            took: Duration::from_millis(180),
        };
        let banner = banner(&config, &ready);
        assert!(banner.lines().count() <= 8);
        insta::assert_snapshot!(banner, @r"
        bos 0.1.0 ready in 0.2 s
          API        http://127.0.0.1:5000/v1      docs http://127.0.0.1:5000/docs
          Data       ./bos-data/bos.db (SQLite, kept across restarts)
          Events     embedded log (no Kafka); companions: content, lifecycle, spellcheck, nlp
          Auth       off (loopback only)
        Try: bos demo     Stop: Ctrl-C
        ");
    }
}
