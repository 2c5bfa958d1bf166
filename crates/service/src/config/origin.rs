//! Where values are written.

use std::fmt;
use std::path::PathBuf;

/// The place where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// [`DEFAULTS`](super::DEFAULTS).
    Default,
    /// A line of the `--config` file, counted from 1.
    File {
        /// The file as the user named it.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// A variable of the `.env` file, with its line, counted from 1.
    Dotenv {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The name of the variable.
        variable: String,
    },
    /// The name of a variable of the environment.
    Environment(String),
    /// A flag as the user typed it.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Dotenv { path, line, variable } => write!(f, "{}:{line} {variable}", path.display()),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A variable of the environment or of `.env`.
pub(super) struct Variable {
    pub(super) name: String,
    /// The value, or what is wrong with its line.
    pub(super) value: Result<String, &'static str>,
    pub(super) origin: Origin,
}
