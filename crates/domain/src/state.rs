//! The stored form of a batch: JSON with a version, so that two releases can run side by side.

use serde::{Deserialize, Serialize};

use crate::batch::Batch;

/// The version that this program writes. A reader knows this version and the one before it; version 1 is the first.
const VERSION: u32 = 1;

/// Why a stored batch cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another release wrote the row in a version that this release does not know.
    #[error("the batch is stored in version {0}; this program reads version {VERSION}")]
    UnknownVersion(u32),
    /// The row does not hold the JSON of a batch.
    #[error("the row does not hold the JSON of a batch")]
    Malformed(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    #[serde(flatten)]
    batch: &'a Batch,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

impl Batch {
    /// The JSON to store, with its version as `v`.
    ///
    /// # Errors
    /// [`StateError::Malformed`] when `serde_json` fails, which no value of a batch causes.
    pub fn to_json(&self) -> Result<String, StateError> {
        Ok(serde_json::to_string(&Written { v: VERSION, batch: self })?)
    }

    /// Reads a batch from its stored JSON.
    ///
    /// # Errors
    /// [`StateError::UnknownVersion`] for a row of another release's version, [`StateError::Malformed`] for anything else.
    pub fn from_json(json: &str) -> Result<Self, StateError> {
        match serde_json::from_str::<Version>(json)?.v {
            VERSION => Ok(serde_json::from_str(json)?),
            other => Err(StateError::UnknownVersion(other)),
        }
    }
}
