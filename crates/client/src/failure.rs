//! The errors of a request.

use std::fmt;

use reqwest::Url;
use serde::Deserialize;

use crate::clean;

/// The errors of a problem that are printed; further ones are only counted. Chosen.
const MAX_PRINTED_FAULTS: usize = 20;

/// The error of a request. Its text ends with the next step.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address of the server is not an http:// URL.
    #[error("--server {0:?} is not an http:// URL, such as http://127.0.0.1:5000")]
    Address(String),
    /// The server cannot be reached, or the connection broke before it answered.
    #[error("no server answers at {server} ({why}); is `bos serve` running? Another address: --server URL")]
    Unreachable {
        /// The address of the server.
        server: String,
        /// What happened to the request.
        why: &'static str,
    },
    /// The server answered with a problem document.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// Another server than bos answered.
    #[error("the server at {server} is not a bos server (it answered with status {status}); check --server")]
    Stranger {
        /// The address of the server.
        server: String,
        /// The HTTP status of the answer.
        status: u16,
    },
    /// The answer lacks a field that this version reads.
    #[error(
        "the server has another version, whose answer cannot be read ({0}); use the version of bos that the server runs"
    )]
    OtherVersion(String),
    /// The operating system gave no random numbers for the Idempotency-Key.
    #[error(
        "the operating system gives no random numbers, so a retry of the request would not be safe; it was not sent"
    )]
    NoRandomness,
    /// The request cannot be written as JSON.
    #[error("cannot write the request as JSON")]
    Unwritable,
}

impl Failure {
    /// A short text without details and the next step.
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

    /// Whether a retry of the same request may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem(problem) => problem.retryable,
            Self::Stranger { status, .. } => matches!(status, 502..=504),
            Self::Address(_) | Self::OtherVersion(_) | Self::NoRandomness | Self::Unwritable => false,
        }
    }

    /// Whether no connection to the server could be made.
    pub fn is_refused_connection(&self) -> bool {
        matches!(self, Self::Unreachable { why: CANNOT_CONNECT, .. })
    }
}

const CANNOT_CONNECT: &str = "cannot connect";

/// The reason for which a request got no answer.
pub(crate) fn why(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "time-out"
    } else if error.is_connect() {
        CANNOT_CONNECT
    } else {
        "the connection broke"
    }
}

/// A problem document (RFC 9457): the server's reason for refusing a request.
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
    /// The URL of the page that explains the code.
    #[serde(skip)]
    page: Option<Url>,
}

/// One fault of a request, which may have several.
#[derive(Debug, Clone, Deserialize)]
pub struct Fault {
    /// The index of the essay in the request, counted from 0.
    #[serde(default)]
    pub index: Option<usize>,
    /// The caller's name for the essay.
    #[serde(default)]
    pub client_ref: Option<String>,
    #[serde(default)]
    pointer: Option<String>,
    #[serde(default)]
    parameter: Option<String>,
    /// The code of the fault, for programs.
    pub code: String,
    /// The fault in English.
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
        for fault in self.errors.iter().take(MAX_PRINTED_FAULTS) {
            write!(f, "\n  {fault}")?;
        }
        if let Some(more) = self.errors.len().checked_sub(MAX_PRINTED_FAULTS).filter(|more| *more > 0) {
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
    fn a_problem_is_printed_with_its_faults_and_the_next_step() {
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
