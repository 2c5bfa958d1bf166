//! `bos config show|check`, and the flags by which commands that run the service are configured.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Exit;
use super::output::Output;
use crate::config::{Config, Error, Flag, Loaded, Sources};

/// Show or check the configuration.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bos config show --origin      every setting, its value and where it came from"
)]
pub struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print every setting; secrets stay out of sight
    #[command(after_help = "Example:\n  bos config show --origin")]
    Show {
        /// Print where each value comes from
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Find everything that would keep `bos serve` from starting
    #[command(after_help = "Example:\n  bos config check --config bos.toml")]
    Check {
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

/// The highest layer of the configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingsArgs {
    /// File of settings, TOML
    #[arg(long, value_name = "FILE", env = "BATCH_ORCHESTRATOR_SERVICE_CONFIG", hide_env = true)]
    pub config: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// Port to listen on, 0 for any
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Directory of the databases
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Any other setting; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub set: Vec<(String, String)>,
}

impl SettingsArgs {
    /// Reads the configuration of this process, with these flags on top.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(self) -> Result<Loaded, Error> {
        Config::load(&self.sources())
    }

    /// The same for a command that looks after one part of an installation and serves nobody.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load_for_upkeep(self) -> Result<Loaded, Error> {
        Config::load_for_upkeep(&self.sources())
    }

    fn sources(self) -> Sources {
        let named = [("host", self.host), ("port", self.port), ("data_dir", self.data_dir)];
        let named = named.into_iter().filter_map(|(key, value)| {
            let flag = format!("--{}", key.replace('_', "-"));
            value.map(|value| Flag { flag, key: key.to_owned(), value })
        });
        let set = self.set.into_iter().map(|(key, value)| Flag { flag: format!("--set {key}"), key, value });
        Sources::of_process(self.config, named.chain(set).collect())
    }
}

fn key_and_value(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE is expected")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[derive(Serialize)]
struct Row {
    key: &'static str,
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
}

impl ConfigCommand {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<Exit> {
        match self.action {
            Action::Show { origin, settings } => show(&settings.load()?, origin, output),
            Action::Check { settings } => check(&settings.load()?, output),
        }
    }
}

fn show(loaded: &Loaded, with_origin: bool, output: &Output) -> anyhow::Result<Exit> {
    let rows: Vec<Row> = loaded
        .shown
        .iter()
        .map(|shown| Row {
            key: shown.key,
            value: shown.value.clone(),
            origin: shown.origin.as_ref().filter(|_| with_origin).map(ToString::to_string),
        })
        .collect();
    let header: &[&str] = if with_origin { &["key", "value", "origin"] } else { &["key", "value"] };
    output.rows(header, &rows, |row| {
        let value = row.value.clone().unwrap_or_else(|| "(unset)".to_owned());
        let mut cells = vec![row.key.to_owned(), value];
        if with_origin {
            cells.push(row.origin.clone().unwrap_or_default());
        }
        cells
    })?;
    Ok(Exit::Ok)
}

#[derive(Serialize)]
struct Verdict {
    ok: bool,
}

fn check(loaded: &Loaded, output: &Output) -> anyhow::Result<Exit> {
    let missing = loaded.config.not_in_this_build();
    if !missing.is_empty() {
        return Err(Error(missing).into());
    }
    for warning in &loaded.warnings {
        output.note(&format!("warning: {warning}"));
    }
    for variable in &loaded.ignored {
        output.detail(&format!("{variable} is passed over: Kubernetes made it for a Service of our name"));
    }
    output.one(&Verdict { ok: true }, |_| "The configuration is fine.".to_owned())?;
    Ok(Exit::Ok)
}
