//! The findings of checks.

use std::time::Duration;

use serde::Serialize;

use super::PATIENCE;

/// How severe a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Ok,
    /// A risk, or a fact that an operator should know.
    Warning,
    /// The service cannot work, or will lose acknowledged work.
    Failure,
}

impl State {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// One line of the output of `bos doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) state: State,
    /// What was checked.
    pub(super) check: String,
    pub(super) found: String,
    /// What to do about it; `None` if all is well.
    pub(super) mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { state: State::Ok, check: check.into(), found: found.into(), mend: None }
    }

    pub(super) fn warning(
        check: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { state: State::Warning, check: check.into(), found: found.into(), mend: Some(mend.into()) }
    }

    pub(super) fn failure(
        check: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { state: State::Failure, check: check.into(), found: found.into(), mend: Some(mend.into()) }
    }
}

/// The finding of a check that has exceeded its timeout.
pub(super) fn silent(check: &str) -> Finding {
    let found = format!("no answer within {} s", PATIENCE.as_secs());
    Finding::failure(check, found, "check whether it is overloaded, and whether the network reaches it")
}

/// Runs a check with a timeout of [`PATIENCE`].
pub(super) async fn in_time(check: &str, work: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| vec![silent(check)])
}

/// Formats an error with its causes on one line.
pub(super) fn causes(error: impl Into<anyhow::Error>) -> String {
    let error = error.into();
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.join(": ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Formats an age in whole seconds, such as `2m 5s`.
pub(super) fn ago(age: chrono::TimeDelta) -> String {
    let seconds = age.num_seconds().max(0);
    let whole = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    humantime::format_duration(whole).to_string()
}
