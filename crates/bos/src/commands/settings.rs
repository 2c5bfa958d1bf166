//! The flags that override settings, for commands that read the configuration.

use std::path::PathBuf;

use clap::Args;
use service::config::{Config, Error, Flag, Loaded, Sources};

/// Flags that override the other layers of the configuration.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SettingsArgs {
    /// TOML file with settings
    #[arg(long, value_name = "FILE", env = "BATCH_ORCHESTRATOR_SERVICE_CONFIG", hide_env = true)]
    pub(crate) config: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<String>,
    /// Port to listen on; 0 for any free one
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<String>,
    /// Folder of the embedded databases
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// Any setting; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(crate) set: Vec<(String, String)>,
    /// Settings for which a command has flags of its own.
    #[arg(skip)]
    pub(crate) named: Vec<Flag>,
}

impl SettingsArgs {
    /// Loads the configuration of a process that serves; these flags override the other layers.
    ///
    /// # Errors
    /// All faults of the configuration together.
    pub(crate) fn load(self) -> Result<Loaded, Error> {
        Config::load(&self.sources())
    }

    /// Loads the configuration of an operator's command, which does not serve: checks that concern serving are left out.
    ///
    /// # Errors
    /// All faults of the configuration together.
    pub(crate) fn load_for_maintenance(self) -> Result<Loaded, Error> {
        Config::load_for_maintenance(&self.sources())
    }

    fn sources(self) -> Sources {
        let named = [("host", self.host), ("port", self.port), ("data_dir", self.data_dir)];
        let named = named.into_iter().filter_map(|(key, value)| {
            let flag = format!("--{}", key.replace('_', "-"));
            value.map(|value| Flag { flag, key: key.to_owned(), value })
        });
        let set = self.set.into_iter().map(|(key, value)| Flag { flag: format!("--set {key}"), key, value });
        Sources::from_process(self.config, named.chain(set).chain(self.named).collect())
    }
}

fn key_and_value(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
