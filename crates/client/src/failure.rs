//! The errors of a request.

use std::fmt;

use reqwest::Url;

use crate::clean;
use crate::documents::ProblemDocument;

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
    /// The answer lacks a field that this version reads, or has a word that it does not know.
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
            Self::Problem(problem) => {
                let ProblemDocument { title, code, .. } = &problem.document;
                format!("{} ({})", clean(title), clean(code))
            }
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
            Self::Problem(problem) => problem.document.retryable,
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

/// A problem document (RFC 9457): the server's reason for refusing a request. Its text ends with the next step.
#[derive(Debug, Clone)]
pub struct Problem {
    document: ProblemDocument<'static>,
    /// The URL of the page that explains the code.
    page: Option<Url>,
}

impl Problem {
    /// A problem that this server answered with.
    pub(crate) fn new(document: ProblemDocument<'static>, server: &Url) -> Self {
        let page = server.join(&format!("problems/{}", document.code)).ok();
        Self { document, page }
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.document.status
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProblemDocument { title, status, detail, correlation_id, errors, .. } = &self.document;
        write!(f, "{}", clean(title))?;
        if !detail.is_empty() {
            write!(f, ": {}", clean(detail))?;
        }
        for fault in errors.iter().take(MAX_PRINTED_FAULTS) {
            write!(f, "\n  {fault}")?;
        }
        if let Some(more) = errors.len().checked_sub(MAX_PRINTED_FAULTS).filter(|more| *more > 0) {
            write!(f, "\n  and {more} more")?;
        }
        if *status == 401 {
            write!(f, "\nNext: put a token into BOS_TOKEN, or name its file in BOS_TOKEN_FILE")?;
        }
        if let Some(page) = &self.page {
            write!(f, "\nWhat to do: {page}")?;
        }
        if let Some(id) = correlation_id {
            write!(f, "\nIn the server's log: {id}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Problem, Url};

    #[test]
    fn a_problem_is_printed_with_its_faults_and_the_next_step() {
        let document = serde_json::from_value(serde_json::json!({
            "type": "/problems/invalid", "title": "Some essays are not acceptable", "status": 422,
            "code": "invalid", "detail": "2 of 30 essays were refused; nothing was stored.",
            "correlation_id": "01970000-0000-7000-8000-000000000000", "retryable": false, "errors": [
                {"pointer": "/essays/3/text", "index": 3, "client_ref": "s-003", "code": "nul_character",
                 "detail": "U+0000 at offset 1204"},
                {"pointer": "/essays/4/text", "index": 4, "code": "empty_text", "detail": "the text is empty"},
                {"pointer": "/name", "code": "wrong_type", "detail": "expected a string\u{1b}[2J"},
            ],
        }))
        .unwrap();
        let problem = Problem::new(document, &Url::parse("http://127.0.0.1:5000/").unwrap());
        insta::assert_snapshot!(problem, @r"
        Some essays are not acceptable: 2 of 30 essays were refused; nothing was stored.
          s-003: U+0000 at offset 1204 (nul_character)
          essay 5: the text is empty (empty_text)
          /name: expected a string�[2J (wrong_type)
        What to do: http://127.0.0.1:5000/problems/invalid
        In the server's log: 01970000-0000-7000-8000-000000000000
        ");
    }
}
