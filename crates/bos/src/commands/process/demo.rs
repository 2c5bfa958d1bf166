//! `bos demo`: runs a class of essays through spellcheck and nlp, with everything in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use domain::Phase;
use include_dir::{Dir, include_dir};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::commands::Exit;
use crate::commands::api::follow::{Followed, exit_of, follow};
use crate::commands::api::progress::Bars;
use crate::commands::api::rows;
use crate::commands::output::Output;
use crate::commands::process::serve::obey_signals;
use client::documents::{BatchAccepted, BatchRequest, EssayRequest};
use client::{Client, read};
use service::config::words::{LogFormat, LogLevel};
use service::config::{Config, Flag, Sources};
use service::run::{self, Ready, RunOptions};

/// The essays of class 9B.
static CLASS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../demo/class-9b");

/// Run a class of 30 essays through the service, and print the results.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos demo --keep      keep the data for `bos serve --data-dir`")]
pub(crate) struct DemoCommand {
    /// Keep the data and print its folder
    #[arg(long)]
    keep: bool,
}

impl DemoCommand {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let level = if output.is_verbose() { LogLevel::Info } else { LogLevel::Error };
        telemetry::init_log(level, LogFormat::Text).context("cannot start logging")?;
        let folder = tempfile::Builder::new()
            .prefix("bos-demo-")
            .tempdir()
            .context("cannot create a temporary folder; set TMPDIR to a writable folder")?;
        let exit = in_this_process(folder.path(), output).await?;
        if self.keep {
            let kept = TempDir::keep(folder);
            output.note(&format!("Data kept. Next: bos serve --data-dir {}", kept.display()));
        }
        Ok(exit)
    }
}

/// Runs the service on a free port of this machine until the class is done.
async fn in_this_process(folder: &Path, output: &Output) -> anyhow::Result<Exit> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .context("cannot listen on a free port of 127.0.0.1")?;
    let shutdown = CancellationToken::new();
    let (sender, address) = oneshot::channel();
    let service = Box::pin(run::run(
        settings(folder)?,
        listener,
        RunOptions::default(),
        shutdown.clone(),
        Box::new(move |ready: Ready| {
            // Sending fails only if the demo was cancelled.
            let _ = sender.send(ready.address);
        }),
    ));
    let show = async {
        let shown = match address.await {
            Ok(address) => shutdown.run_until_cancelled(show(address, output)).await,
            // The service has not started; its own error says why.
            Err(_) => None,
        };
        shutdown.cancel();
        shown
    };
    let both = async { futures::join!(service, show) };
    let (served, shown) = tokio::select! {
        both = both => both,
        never = obey_signals(shutdown.clone(), output) => match never {},
    };
    served?;
    shown.unwrap_or(Ok(Exit::Failed))
}

/// The default configuration, which is all embedded; the environment is not read.
fn settings(folder: &Path) -> anyhow::Result<Config> {
    let folder = folder
        .to_str()
        .context("the name of the temporary folder is not UTF-8; set TMPDIR to another folder")?;
    let data_dir =
        Flag { flag: "--data-dir".to_owned(), key: "data_dir".to_owned(), value: folder.to_owned() };
    Ok(Config::load(&Sources { flags: vec![data_dir], ..Sources::default() })?.config)
}

/// Submits the class over HTTP and shows its progress and results.
async fn show(address: SocketAddr, output: &Output) -> anyhow::Result<Exit> {
    let client = Client::new(&format!("http://{address}"))?;
    let essays = class()?;
    let began = Instant::now();
    output.say(&format!(
        "bos {} demo — {} essays of class 9B (ENG5), spellcheck → nlp, everything in this process, data in a \
         temporary folder",
        env!("CARGO_PKG_VERSION"),
        essays.len()
    ))?;
    let request = BatchRequest {
        name: Some("9B argumentative text".to_owned()),
        course_code: Some("ENG5".to_owned()),
        labels: Some([("class".to_owned(), "9B".to_owned())].into()),
        phases: Some(vec![Phase::Spellcheck, Phase::Nlp]),
        on_invalid: Some("skip".to_owned()),
        essays,
        ..BatchRequest::default()
    };
    let accepted: BatchAccepted<'_> = read(client.post("v1/batch", &request).await?)?;
    let batch = accepted.batch_id.as_uuid();
    let mut bars = Bars::new(output, accepted.rejected);
    let status = match follow(&client, batch, &mut bars, None).await? {
        Followed::AtRest(status) => status,
        Followed::OutOfTime => return Ok(Exit::TimedOut),
    };
    let rows = rows::of_batch(&client, batch, None).await?;
    let rows = rows::with_rejected(rows, &accepted.rejections);
    let took = began.elapsed();
    rows::print(&rows, output)?;
    let summary = rows::summary(&rows, Some(took));
    output.say(&format!("{summary}      Next: bos serve · bos batch submit FOLDER --wait · bos --help"))?;
    // The class contains a blank essay on purpose, so its rejection is no failure; any other failure is.
    Ok(exit_of(&status, 0))
}

fn class() -> anyhow::Result<Vec<EssayRequest>> {
    let mut files: Vec<_> = CLASS.files().collect();
    files.sort_by_key(|file| file.path());
    let essays = files.into_iter().map(|file| {
        let name = file.path().file_stem().and_then(|stem| stem.to_str());
        let essay = name.zip(file.contents_utf8());
        essay
            .map(|(name, text)| EssayRequest::with_text(name.to_owned(), text.to_owned()))
            .context("an essay of the demo is not UTF-8")
    });
    essays.collect()
}
