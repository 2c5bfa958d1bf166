//! `bos batch submit`: submits essays as one batch.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use domain::Phase;
use serde_json::Value;

use crate::commands::Exit;
use crate::commands::api::files::{self, Files};
use crate::commands::api::follow::{Followed, exit_of, follow, out_of_time};
use crate::commands::api::progress::Bars;
use crate::commands::api::rows::{self, plural};
use crate::commands::duration;
use crate::commands::output::Output;
use client::clean;
use client::documents::{BatchAccepted, BatchRequest};
use client::{Client, read};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bos batch submit essays/ --course ENG5 --label class=9B --wait\n  \
    bos batch submit a.txt b.md --language sv --phases spellcheck")]
pub(super) struct Submit {
    /// Text files, folders with .txt and .md files, or - for one essay on standard input. Other files of a folder are named and
    /// left out (exit code 4)
    #[arg(required = true, value_name = "FILE|DIR|-")]
    paths: Vec<PathBuf>,
    /// Phases to run, separated by commas, or none
    #[arg(long, value_name = "PHASES", default_value = "spellcheck,nlp", value_parser = phases)]
    phases: Phases,
    /// Name of the batch
    #[arg(long)]
    name: Option<String>,
    /// Course code, such as ENG5 or SV1; determines the language
    #[arg(long, value_name = "CODE", conflicts_with = "language")]
    course: Option<String>,
    /// Language: en or sv
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    /// Label to find the batch by; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// What to do with an invalid essay
    #[arg(long, value_enum, default_value_t = OnInvalid::Reject)]
    on_invalid: OnInvalid,
    /// Wait until the batch ends, and print the results
    #[arg(long)]
    wait: bool,
    /// Maximum time to wait, such as 5m
    #[arg(long, value_name = "DURATION", requires = "wait", value_parser = duration)]
    timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnInvalid {
    /// Submit nothing
    Reject,
    /// Submit the other essays
    Skip,
}

/// The value of `--phases`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Phases(Vec<Phase>);

fn phases(text: &str) -> Result<Phases, String> {
    if matches!(text, "" | "none") {
        return Ok(Phases(Vec::new()));
    }
    let known = || Phase::ALL.iter().map(|phase| phase.as_str()).collect::<Vec<_>>().join(", ");
    let phases = text
        .split(',')
        .map(|word| word.trim().parse().map_err(|_| format!("expected none or a list of {}", known())));
    phases.collect::<Result<_, _>>().map(Phases)
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE"),
    }
}

/// The labels by key.
///
/// # Errors
/// Every key that is given twice.
fn labels(pairs: Vec<(String, String)>) -> Result<BTreeMap<String, String>, service::config::Error> {
    let mut labels = BTreeMap::new();
    let mut faults = Vec::new();
    for (key, value) in pairs {
        if let Some(first) = labels.insert(key.clone(), value) {
            let problem = format!("is given twice, first as {key}={first}");
            faults.push(service::config::Fault::new(format!("--label {key}"), problem, "give each key once"));
        }
    }
    if faults.is_empty() { Ok(labels) } else { Err(service::config::Error(faults)) }
}

impl Submit {
    pub(super) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<Exit> {
        let began = Instant::now();
        let Files { essays, left_out } = files::read(&self.paths);
        let left_out = left_out.message();
        if let Some(message) = &left_out {
            Output::warn(message);
        }
        let on_invalid = match self.on_invalid {
            OnInvalid::Reject => "reject_batch",
            OnInvalid::Skip => "skip",
        };
        let request = BatchRequest {
            name: self.name,
            course_code: self.course,
            language: self.language,
            labels: Some(labels(self.label)?),
            phases: Some(self.phases.0),
            on_invalid: Some(on_invalid.to_owned()),
            essays: essays?,
            ..BatchRequest::default()
        };
        let answer = client.post("v1/batch", &request).await?;
        let accepted: BatchAccepted<'_> = read(answer.clone())?;
        let batch = accepted.batch_id.as_uuid();
        if !self.wait {
            let exit = announce(&accepted, &answer, output)?;
            return Ok(unless_left_out(exit, left_out.is_some()));
        }
        output.note(&acceptance(&accepted));
        let mut bars = Bars::new(output, accepted.rejected);
        let status = match follow(client, batch, &mut bars, self.timeout).await? {
            Followed::AtRest(status) => status,
            Followed::OutOfTime => return Ok(out_of_time(batch, output)),
        };
        let rows = rows::of_batch(client, batch, None).await?;
        let rows = rows::with_rejected(rows, &accepted.rejections);
        rows::print(&rows, output)?;
        let summary = rows::summary(&rows, Some(began.elapsed()));
        // The counts say how many essays succeeded; a batch that has not completed also needs the server's sentence.
        if status.has_completed() {
            output.say(&format!("{summary}      Next: bos batch results {}", accepted.batch_id))?;
        } else {
            output.say(&format!("{summary}      {}", clean(&status.sentence)))?;
        }
        Ok(unless_left_out(exit_of(&status, accepted.rejected), left_out.is_some()))
    }
}

/// The exit code of a submission, which is not a plain success if files of a folder were left out.
fn unless_left_out(exit: Exit, left_out: bool) -> Exit {
    if exit == Exit::Ok && left_out { Exit::SomeFailed } else { exit }
}

fn acceptance(accepted: &BatchAccepted<'_>) -> String {
    let mut text = format!(
        "Batch {}: {} essay{} accepted",
        accepted.batch_id,
        accepted.accepted,
        plural(accepted.accepted)
    );
    if accepted.rejected > 0 {
        text = format!("{text}, {} skipped", accepted.rejected);
    }
    for rejection in &accepted.rejections {
        text = format!("{text}\n  {rejection}");
    }
    text
}

/// Prints what was accepted, and the next command.
fn announce(accepted: &BatchAccepted<'_>, answer: &Value, output: &Output) -> anyhow::Result<Exit> {
    output
        .one(answer, |_| format!("{}\nNext: bos batch watch {}", acceptance(accepted), accepted.batch_id))?;
    Ok(if accepted.rejected > 0 { Exit::SomeFailed } else { Exit::Ok })
}

#[cfg(test)]
mod tests {
    use domain::Phase;

    use super::{Phases, phases};

    #[test]
    fn phases_are_a_list_of_known_names() {
        assert_eq!(phases("spellcheck, nlp"), Ok(Phases(vec![Phase::Spellcheck, Phase::Nlp])));
        assert_eq!(phases("none"), Ok(Phases(vec![])));
        assert!(phases("spelcheck").unwrap_err().contains("cj_assessment"));
    }
}
