//! The measured processes: the service with instant companions, or the bare HTTP stack.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result};
use axum::{Json, Router, routing::get};
use service::{
    config::{Config, Flag, Sources},
    run::{self, RunOptions},
    settings::accept_limits,
};
use telemetry::Tasks;
use tokio::{net::TcpListener, signal::unix, signal::unix::SignalKind};
use tokio_util::sync::CancellationToken;

/// The arguments of a measured process.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Port to listen on
    #[arg(long)]
    port: u16,
    /// Folder of the data
    #[arg(long)]
    data_dir: PathBuf,
}

impl Args {
    fn config(&self) -> Result<Config> {
        let flag = |key: &str, value: String| Flag { flag: format!("--{key}"), key: key.to_owned(), value };
        let data_dir = self.data_dir.to_str().context("the data folder's name is not UTF-8")?;
        let flags = vec![flag("port", self.port.to_string()), flag("data_dir", data_dir.to_owned())];
        Ok(Config::load(&Sources { flags, ..Sources::default() })?.config)
    }
}

/// Serves like `bos serve`, with companions that answer at once.
pub(crate) fn instant(args: &Args) -> Result<()> {
    let config = args.config()?;
    block_on(async {
        telemetry::init_log(config.log_level, config.log_format)?;
        let (listener, shutdown) = (listen(&config).await?, shutdown()?);
        let options = RunOptions { instant_companions: true, ..RunOptions::default() };
        Ok(Box::pin(run::run(config, listener, options, shutdown, Box::new(|_| {}))).await?)
    })
}

/// Serves one route with a constant answer, behind the service's accept loop.
pub(crate) fn hello(args: &Args) -> Result<()> {
    let config = args.config()?;
    block_on(async {
        let (listener, shutdown) = (listen(&config).await?, shutdown()?);
        let hello = || async { Json(serde_json::json!({ "status": "ok" })) };
        let router = Router::new().route("/readyz", get(hello));
        api::serve::serve(listener, router, accept_limits(&config), shutdown, Tasks::new()).await;
        Ok(())
    })
}

fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

async fn listen(config: &Config) -> Result<TcpListener> {
    let address = SocketAddr::new(config.host, config.port);
    TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))
}

/// A token that SIGTERM cancels.
fn shutdown() -> Result<CancellationToken> {
    let mut terminate = unix::signal(SignalKind::terminate()).context("watching for SIGTERM")?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    Tasks::new().spawn("stop signal", async move {
        terminate.recv().await;
        cancelled.cancel();
    });
    Ok(token)
}
