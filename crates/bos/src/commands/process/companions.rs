//! `bos companions`: the neighbours as a process of their own.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use companions::Misbehaviour;
use tokio_util::sync::CancellationToken;

use crate::commands::Exit;
use crate::commands::output::Output;
use crate::commands::process::serve::{bind, obey_signals};
use crate::commands::settings::SettingsArgs;
use service::companions::{How, run};
use service::config::{Error, Fault, Loaded};
use service::files;
use service::settings::kafka_settings;

/// Run the neighbours of the service over Kafka: content, lifecycle and workers.
///
/// For a laptop, for tests and for measuring: as strict as the platform's own, and on request worse.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  KAFKA_BOOTSTRAP_SERVERS=localhost:9092 bos companions\n  \
    CONTENT_SERVICE_URL=http://127.0.0.1:8001/v1/content is then theirs to `bos serve`.")]
pub(crate) struct CompanionsCommand {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Port of the Content Service
    #[arg(long, value_name = "PORT", default_value_t = 8001)]
    content_port: u16,
    /// Answer at once, without language work
    #[arg(long)]
    instant: bool,
    /// Part of the essays that a worker says it cannot do, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    fail_rate: f64,
    /// Part of the requests that the Content Service answers with 503, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    content_fail_rate: f64,
    /// Time before anything is said, such as 200ms
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = crate::commands::duration)]
    delay: Duration,
    /// Part of what is said to the service that gets lost
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    silent_rate: f64,
    /// Part of it that is said twice
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    duplicate_rate: f64,
    /// Say in any order what is said in one breath
    #[arg(long)]
    reorder: bool,
    /// Draws what goes wrong; the same seed goes wrong in the same way
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|rate| (0.0..=1.0).contains(rate)).ok_or("a part from 0 to 1 is expected, such as 0.05")
}

impl CompanionsCommand {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let Loaded { config, .. } = self.settings.load_for_upkeep()?;
        let Some(kafka) = kafka_settings(&config) else {
            let next_step = "set KAFKA_BOOTSTRAP_SERVERS; on the embedded log `bos serve` runs them itself";
            let fault = Fault::new(
                "kafka_bootstrap_servers",
                "is unset, and companions of their own need it",
                next_step,
            );
            return Err(Error(vec![fault]).into());
        };
        telemetry::init_log(config.log_level, config.log_format).context("cannot log")?;
        files::ask_for_more();
        let listener = bind(config.host, self.content_port).await?;
        let address = listener.local_addr().context("the listener has no address")?;
        let how = How {
            instant: self.instant,
            misbehaviour: Misbehaviour {
                fail_rate: self.fail_rate,
                content_fail_rate: self.content_fail_rate,
                delay: self.delay,
                silent_rate: self.silent_rate,
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
                    // A closed standard output is no reason to stop.
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
        let work = Box::pin(run(config, kafka, listener, how, shutdown.clone(), banner));
        tokio::select! {
            ended = work => ended?,
            never = obey_signals(shutdown, output) => match never {},
        }
        Ok(Exit::Ok)
    }
}
