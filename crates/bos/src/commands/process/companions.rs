//! `bos companions`: stand-ins for the platform's services, in a process of their own.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use companions::Misbehaviour;
use tokio_util::sync::CancellationToken;

use crate::commands::Exit;
use crate::commands::output::Output;
use crate::commands::process::serve::{bind, obey_signals, read_secrets_again_on_hangup};
use crate::commands::settings::SettingsArgs;
use service::companions::{CompanionBehaviour, run};
use service::config::{Error, Fault, Loaded};
use service::files;
use service::settings::kafka_settings;

/// Run stand-ins for the platform's services on Kafka: content, lifecycle and workers.
///
/// For laptops, tests and measurements. They are as strict as the platform's services, and fail on request.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  KAFKA_BOOTSTRAP_SERVERS=localhost:9092 bos companions\n  \
    Start `bos serve` with CONTENT_SERVICE_URL=http://127.0.0.1:8001/v1/content and\n  \
    ELS_URL=http://127.0.0.1:8001 to use them.")]
pub(crate) struct CompanionsCommand {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Port of the Content Service
    #[arg(long, value_name = "PORT", default_value_t = 8001)]
    content_port: u16,
    /// Answer immediately, without checking any text
    #[arg(long)]
    instant: bool,
    /// Fraction of essays that the workers report as failed, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    fail_rate: f64,
    /// Fraction of Content Service requests answered with 503, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    content_fail_rate: f64,
    /// Delay of every message, such as 200ms
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = crate::commands::duration)]
    delay: Duration,
    /// Fraction of messages for BOS that are not sent, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    silent_rate: f64,
    /// Fraction of phase commands that the lifecycle service skips for good, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    forget_rate: f64,
    /// Fraction of messages that are sent twice, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    duplicate_rate: f64,
    /// Send messages of one step in random order
    #[arg(long)]
    reorder: bool,
    /// Seed of the faults; the same seed gives the same faults
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|rate| (0.0..=1.0).contains(rate)).ok_or("expected a fraction from 0 to 1, such as 0.05")
}

impl CompanionsCommand {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let Loaded { config, .. } = self.settings.load_for_maintenance()?;
        let Some(kafka) = kafka_settings(&config) else {
            let next_step =
                "set KAFKA_BOOTSTRAP_SERVERS; without Kafka `bos serve` runs the companions itself";
            let fault = Fault::new(
                "kafka_bootstrap_servers",
                "is unset, and `bos companions` needs Kafka",
                next_step,
            );
            return Err(Error(vec![fault]).into());
        };
        telemetry::init_log(config.log_level, config.log_format).context("cannot start logging")?;
        files::raise_limit();
        let listener = bind(config.host, self.content_port, "--content-port ").await?;
        let address = listener.local_addr().context("cannot read the address of the listener")?;
        let behaviour = CompanionBehaviour {
            instant: self.instant,
            misbehaviour: Misbehaviour {
                fail_rate: self.fail_rate,
                content_fail_rate: self.content_fail_rate,
                delay: self.delay,
                silent_rate: self.silent_rate,
                forget_rate: self.forget_rate,
                duplicate_rate: self.duplicate_rate,
                reorder: self.reorder,
                seed: self.seed,
            },
        };
        let banner = {
            let (output, servers) = (output.clone(), kafka.bootstrap_servers.clone());
            let data = config.data_dir.join("companions.db");
            move || {
                if !output.is_quiet() {
                    // A closed standard output does not stop the companions.
                    let _ = output.say(&format!(
                        "bos {} companions: content, lifecycle, spellcheck, nlp\n  Content    http://{address}/v1/content\n  \
                         Kafka      {servers}\n  Data       {}\nStop: Ctrl-C",
                        env!("CARGO_PKG_VERSION"),
                        data.display()
                    ));
                }
            }
        };
        let shutdown = CancellationToken::new();
        let secrets = config.clone();
        let work = Box::pin(run(config, kafka, listener, behaviour, shutdown.clone(), banner));
        tokio::select! {
            ended = work => ended?,
            never = obey_signals(shutdown, output) => match never {},
            never = read_secrets_again_on_hangup(&secrets) => match never {},
        }
        Ok(Exit::Ok)
    }
}
