//! `bos openapi`: prints the OpenAPI description of the API.

use std::io::{self, Write as _};

use clap::Args;

use crate::commands::Exit;

/// Print the OpenAPI 3.1 description of the API.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos openapi > openapi.json")]
pub(crate) struct OpenapiCommand {}

impl OpenapiCommand {
    #[expect(clippy::unused_self, reason = "all commands have the same signature")]
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        io::stdout().lock().write_all(api::openapi::JSON.as_bytes())?;
        Ok(Exit::Ok)
    }
}
