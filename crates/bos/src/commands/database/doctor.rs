//! `bos doctor`: checks every dependency of the service, and says how to correct what is wrong.
//!
//! The checks are independent, and each has its own timeout: an unavailable dependency fails its own checks and no others.

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

/// Timeout of one check (chosen).
const PATIENCE: Duration = Duration::from_secs(5);
/// Timeout of one request to a dependency. It is shorter than [`PATIENCE`], so that the request's own error is reported.
const NEIGHBOUR_PATIENCE: Duration = Duration::from_secs(4);

/// Check every dependency of the service, and say how to correct what is wrong.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos doctor -o jsonl\n\n\
    Changes nothing. Each check prints one line: ok, warning or failure, what was found, what to do.\n\
    Exit: 0 all checks ok · 2 invalid configuration · 4 warnings or failures")]
pub(crate) struct DoctorCommand {
    #[command(flatten)]
    settings: SettingsArgs,
}

impl DoctorCommand {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Exit> {
        let Loaded { config, warnings, .. } = self.settings.load()?;
        let mut findings = vec![configuration(&warnings)];
        findings.extend(check(&config).await);
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
            output.note("All checks passed.");
            return Ok(Exit::Ok);
        }
        output.note(&format!("Failures: {failures}. Warnings: {warnings}."));
        Ok(Exit::SomeFailed)
    }
}

/// The finding about the configuration. An invalid one has ended the command before this.
fn configuration(warnings: &[service::config::Fault]) -> Finding {
    match warnings {
        [] => Finding::ok("configuration", "complete and consistent"),
        some => {
            let warnings: Vec<String> = some.iter().map(ToString::to_string).collect();
            Finding::warning("configuration", warnings.join("; "), "run `bos config check`")
        }
    }
}

/// Runs all checks at the same time.
async fn check(config: &Config) -> Vec<Finding> {
    #[cfg(feature = "kafka")]
    let bus = kafka::check(config).boxed();
    #[cfg(not(feature = "kafka"))]
    let bus = futures::future::ready(Vec::new()).boxed();
    let checks = [
        ("database", database::check(config).boxed()),
        ("event bus", bus),
        ("content service", content::check(config).boxed()),
        ("disk", machine::check(config).boxed()),
    ];
    let checks = checks.map(|(name, check)| async move {
        // Each check limits its own parts; this is for a part that exceeds its limit.
        tokio::time::timeout(PATIENCE * 2, check).await.unwrap_or_else(|_| vec![finding::silent(name)])
    });
    futures::future::join_all(checks).await.into_iter().flatten().collect()
}
