//! `bos essay status`: shows the status of an essay.

use clap::Args;
use uuid::Uuid;

use crate::commands::Exit;
use crate::commands::api::rows;
use crate::commands::output::{Format, Output};
use client::clean;
use client::documents::{EssayDocument, EssayPhaseDocument};
use client::{Client, read};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos essay status 0197c5e0-7d1f-7a3b-9c55-2f6f4a1b0000")]
pub(super) struct Status {
    /// Id of the essay
    #[arg(value_name = "ESSAY_ID")]
    essay: Uuid,
}

impl Status {
    pub(super) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<Exit> {
        let document = client.get(&format!("v1/essay/{}", self.essay), &[]).await?;
        if output.format() != Format::Table {
            output.one(&document, |_| String::new())?;
            return Ok(Exit::Ok);
        }
        let essay: EssayDocument = read(document)?;
        output.say(&format!("{}: {}", clean(&essay.name()), essay.state))?;
        if !essay.phases.is_empty() {
            Output::table(&["phase", "state", "attempt", "why"], &essay.phases, cells)?;
            rows::print(&rows::of_essays(client, vec![essay.into()]).await, output)?;
        }
        Ok(Exit::Ok)
    }
}

fn cells(phase: &EssayPhaseDocument) -> Vec<String> {
    vec![
        phase.phase.to_string(),
        phase.state.to_string(),
        phase.attempt.to_string(),
        phase.error_code.clone().unwrap_or_default(),
    ]
}
