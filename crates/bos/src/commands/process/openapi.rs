//! `bos openapi`: prints the OpenAPI description of the API.

use std::io::{self, Write as _};

use clap::Args;
use service::settings::api_settings;

use crate::commands::Exit;
use crate::commands::settings::SettingsArgs;

/// Print the OpenAPI 3.1 description of the API.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bos openapi > openapi.json\n\nThe limits in its texts are those of the configuration."
)]
pub(crate) struct OpenapiCommand {
    #[command(flatten)]
    settings: SettingsArgs,
}

impl OpenapiCommand {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let config = self.settings.load_for_maintenance()?.config;
        io::stdout().lock().write_all(api::openapi::json(&api_settings(&config)).as_bytes())?;
        Ok(Exit::Ok)
    }
}
