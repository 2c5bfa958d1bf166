//! `bos config show|check`: shows or checks the configuration.

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::commands::Exit;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use service::config::{Error, Loaded};

/// Show or check the configuration.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos config show --origin      every setting with its value and origin")]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print every setting; secrets are redacted
    #[command(after_help = "Example:\n  bos config show --origin")]
    Show {
        /// Print where each value comes from
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Report everything that would prevent `bos serve` from starting
    #[command(after_help = "Example:\n  bos config check --config bos.toml")]
    Check {
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

#[derive(Serialize)]
struct Row {
    key: &'static str,
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
}

impl ConfigCommand {
    pub(crate) fn run(self, output: &Output) -> anyhow::Result<Exit> {
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
    let missing = loaded.config.unsupported_settings();
    if !missing.is_empty() {
        return Err(Error(missing).into());
    }
    for warning in &loaded.warnings {
        output.note(&format!("warning: {warning}"));
    }
    for variable in &loaded.ignored {
        output.detail(&format!("{variable} is ignored: Kubernetes sets it for a Service of this name"));
    }
    output.one(&Verdict { ok: true }, |_| "The configuration is valid.".to_owned())?;
    Ok(Exit::Ok)
}
