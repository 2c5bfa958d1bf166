//! `bos essay trigger`: sends one essay to the spell checker.

use std::path::PathBuf;

use clap::Args;

use crate::commands::Exit;
use crate::commands::api::files;
use crate::commands::output::Output;
use client::documents::{TriggerRequest, Triggered};
use client::{Client, read};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  echo 'I recieve teh mail.' | bos essay trigger - --language en")]
pub(super) struct Trigger {
    /// Text file, or - for standard input
    #[arg(value_name = "FILE|-")]
    path: PathBuf,
    /// Language: en or sv [default: the server's]
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
}

impl Trigger {
    pub(super) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<Exit> {
        let request = TriggerRequest { text: files::read_one(&self.path)?, language: self.language };
        let answer = client.post("v1/trigger-spellcheck", &request).await?;
        let Triggered { essay_id, .. } = read(answer.clone())?;
        output.one(&answer, |_| format!("Essay {essay_id} accepted\nNext: bos essay status {essay_id}"))?;
        Ok(Exit::Ok)
    }
}
