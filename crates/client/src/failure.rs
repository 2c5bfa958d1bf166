//! Why a request came to nothing.

use std::fmt;

use reqwest::Url;
use serde::Deserialize;

use crate::clean;

/// Errors told one by one; the rest is counted.
const TOLD: usize = 20;

/// Why a request came to nothing; what is shown ends in the next step.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// `--server` is no address.
    #[error("--server {0:?} is not an http:// address; it looks like http://127.0.0.1:5000")]
    Address(String),
    /// Nobody answers.
    #[error("no server answers at {server} ({why}); is `bos serve` running? Another address: --server URL")]
    Unreachable {
        /// The address.
        server: String,
        /// What happened.
        why: &'static str,
    },
    /// The server says why not.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// Somebody answers who is no server of ours.
    #[error("what answers at {server} is no bos server (status {status}); check --server")]
    Stranger {
        /// The address.
        server: String,
        /// The HTTP status of the answer.
        status: u16,
    },
    /// The answer lacks what this version of the command line reads.
    #[error("the server's answer is of another version ({0}); use the bos that the server runs")]
    OtherVersion(String),
    /// No random numbers.
    #[error("the system gives no random numbers, so the request cannot be sent safely")]
    NoRandomness,
    /// The request cannot be written as JSON.
    #[error("the request cannot be written as JSON")]
    Unwritable,
}

impl Failure {
    /// What is the matter, without details and next steps.
    pub(crate) fn brief(&self) -> String {
        match self {
            Self::Unreachable { server, why } => format!("no server answers at {server} ({why})"),
            Self::Problem(problem) => format!("{} ({})", clean(&problem.title), clean(&problem.code)),
            Self::Address(_)
            | Self::Stranger { .. }
            | Self::OtherVersion(_)
            | Self::NoRandomness
            | Self::Unwritable => self.to_string(),
        }
    }

    /// Whether the same request may do better later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem(problem) => problem.retryable,
            Self::Stranger { status, .. } => matches!(status, 502..=504),
            Self::Address(_) | Self::OtherVersion(_) | Self::NoRandomness | Self::Unwritable => false,
        }
    }

    /// Whether no process listens at the address.
    pub fn is_refused_connection(&self) -> bool {
        matches!(self, Self::Unreachable { why: NOBODY, .. })
    }
}

const NOBODY: &str = "nobody listens there";

/// What happened to a request that got no answer.
pub(crate) fn why(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it takes too long"
    } else if error.is_connect() {
        NOBODY
    } else {
        "the connection broke off"
    }
}

/// An answer of the server that says why not (RFC 9457).
#[derive(Debug, Clone, Deserialize)]
pub struct Problem {
    title: String,
    /// The HTTP status.
    pub status: u16,
    code: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    correlation_id: Option<String>,
    #[serde(default)]
    retryable: bool,
    #[serde(default)]
    errors: Vec<Fault>,
    /// Where the page about the code is.
    #[serde(skip)]
    page: Option<Url>,
}

/// One of several things that are wrong with a request.
#[derive(Debug, Clone, Deserialize)]
pub struct Fault {
    /// The essay's place in the request, counted from 0.
    #[serde(default)]
    pub index: Option<usize>,
    /// The essay's name.
    #[serde(default)]
    pub client_ref: Option<String>,
    #[serde(default)]
    pointer: Option<String>,
    #[serde(default)]
    parameter: Option<String>,
    /// What is wrong, for programs.
    pub code: String,
    /// What is wrong, for people.
    #[serde(default)]
    pub detail: String,
}

impl Problem {
    pub(crate) fn at(self, server: &Url) -> Self {
        let page = server.join(&format!("problems/{}", self.code)).ok();
        Self { page, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", clean(&self.title))?;
        if !self.detail.is_empty() {
            write!(f, ": {}", clean(&self.detail))?;
        }
        for fault in self.errors.iter().take(TOLD) {
            write!(f, "\n  {fault}")?;
        }
        if let Some(more) = self.errors.len().checked_sub(TOLD).filter(|more| *more > 0) {
            write!(f, "\n  and {more} more")?;
        }
        if self.status == 401 {
            write!(f, "\nNext: put a token into BOS_TOKEN, or name its file in BOS_TOKEN_FILE")?;
        }
        if let Some(page) = &self.page {
            write!(f, "\nWhat to do: {page}")?;
        }
        if let Some(id) = &self.correlation_id {
            write!(f, "\nIn the server's log: {}", clean(id))?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match (&self.client_ref, self.index, &self.pointer, &self.parameter) {
            (Some(name), ..) => clean(name),
            (None, Some(index), ..) => format!("essay {}", index + 1),
            (None, None, Some(pointer), _) if !pointer.is_empty() => clean(pointer),
            (None, None, _, Some(parameter)) => clean(parameter),
            (None, None, _, None) => "request".to_owned(),
        };
        write!(f, "{place}: {} ({})", clean(&self.detail), clean(&self.code))
    }
}

#[cfg(test)]
mod tests {
    use super::{Problem, Url};

    #[test]
    fn a_problem_reads_as_what_is_wrong_where_and_what_to_do() {
        let problem: Problem = serde_json::from_value(serde_json::json!({
            "type": "/problems/invalid", "title": "Some essays are not acceptable", "status": 422,
            "code": "invalid", "detail": "2 of 30 essays were refused; nothing was stored.",
            "correlation_id": "0197", "retryable": false, "errors": [
                {"pointer": "/essays/3/text", "index": 3, "client_ref": "s-003", "code": "nul_character",
                 "detail": "U+0000 at offset 1204"},
                {"pointer": "/essays/4/text", "index": 4, "code": "empty_text", "detail": "the text is empty"},
                {"pointer": "/name", "code": "wrong_type", "detail": "expected a string\u{1b}[2J"},
            ],
        }))
        .unwrap();
        insta::assert_snapshot!(problem.at(&Url::parse("http://127.0.0.1:5000/").unwrap()), @r"
        Some essays are not acceptable: 2 of 30 essays were refused; nothing was stored.
          s-003: U+0000 at offset 1204 (nul_character)
          essay 5: the text is empty (empty_text)
          /name: expected a string�[2J (wrong_type)
        What to do: http://127.0.0.1:5000/problems/invalid
        In the server's log: 0197
        ");
    }
}
