//! `bos doctor`: looks at everything the service needs, and says how to mend what is not well.
//!
//! Every check has its own time and needs no other: a neighbour that is away costs its own lines and nobody else's.

mod content;
mod database;
mod finding;
#[cfg(feature = "kafka")]
mod kafka;
mod machine;

use std::time::Duration;

use clap::Args;
use futures::FutureExt as _;

use crate::commands::Exit;
use crate::commands::output::Output;
use crate::commands::settings::SettingsArgs;
use finding::{Finding, State};
use service::config::{Config, Loaded};

/// How long a check may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a check lets a neighbour think, so that its own words come before its time is over.
const NEIGHBOUR_PATIENCE: Duration = Duration::from_secs(4);

/// Look at everything that the service needs, and say how to mend what is not well.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos doctor -o jsonl\n\n\
    Reads and changes nothing. One line per check: ok, warning or failure, what was found, how to mend it.\n\
    Exit: 0 all is well · 2 the configuration is wrong · 4 there are warnings or failures")]
pub(crate) struct DoctorCommand {
    #[command(flatten)]
    settings: SettingsArgs,
}

impl DoctorCommand {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let Loaded { config, warnings, .. } = self.settings.load()?;
        let mut findings = vec![configuration(&warnings)];
        findings.extend(look(&config).await);
        output.rows(&["state", "check", "found", "mend"], &findings, |finding| {
            vec![
                finding.state.as_str().to_owned(),
                finding.check.clone(),
                finding.found.clone(),
                finding.mend.clone().unwrap_or_default(),
            ]
        })?;
        let count = |state| findings.iter().filter(|finding| finding.state == state).count();
        let (warnings, failures) = (count(State::Warning), count(State::Failure));
        if warnings + failures == 0 {
            output.note("All is well.");
            return Ok(Exit::Ok);
        }
        output.note(&format!("Failures: {failures}. Warnings: {warnings}."));
        Ok(Exit::SomeFailed)
    }
}

/// A configuration that is wrong never comes here.
fn configuration(warnings: &[service::config::Fault]) -> Finding {
    match warnings {
        [] => Finding::ok("configuration", "it is complete and consistent"),
        some => {
            let told: Vec<String> = some.iter().map(ToString::to_string).collect();
            Finding::warning("configuration", told.join("; "), "see `bos config check`")
        }
    }
}

/// All checks at the same time, each within its own.
async fn look(config: &Config) -> Vec<Finding> {
    #[cfg(feature = "kafka")]
    let bus = kafka::look(config).boxed();
    #[cfg(not(feature = "kafka"))]
    let bus = futures::future::ready(Vec::new()).boxed();
    let checks = [
        ("database", database::look(config).boxed()),
        ("event bus", bus),
        ("content service", content::look(config).boxed()),
        ("disk", machine::look(config).boxed()),
    ];
    let checks = checks.map(|(name, check)| async move {
        // Each of them bounds its parts itself; this is for the part that does not keep to it.
        tokio::time::timeout(PATIENCE * 2, check).await.unwrap_or_else(|_| vec![finding::silent(name)])
    });
    futures::future::join_all(checks).await.into_iter().flatten().collect()
}
