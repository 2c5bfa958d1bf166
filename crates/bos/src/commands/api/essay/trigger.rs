//! `bos essay trigger`: sends one essay to the spell checker.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::commands::Exit;
use crate::commands::api::files;
use crate::commands::output::Output;
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

#[derive(Serialize)]
struct Request<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
}

#[derive(Deserialize)]
struct Triggered {
    essay_id: Uuid,
}

impl Trigger {
    pub(super) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<Exit> {
        let text = files::read_one(&self.path)?;
        let request = Request { text: &text, language: self.language.as_deref() };
        let answer = client.post("v1/trigger-spellcheck", &request).await?;
        let Triggered { essay_id } = read(answer.clone())?;
        output.one(&answer, |_| format!("Essay {essay_id} accepted\nNext: bos essay status {essay_id}"))?;
        Ok(Exit::Ok)
    }
}
