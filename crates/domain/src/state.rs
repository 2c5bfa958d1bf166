//! The stored form of a batch: JSON with a version, so that two releases can work side by side.

use serde::{Deserialize, Serialize};

use crate::batch::Batch;

/// The version that this program writes. A reader knows it and the one before it (of which there is none yet).
const VERSION: u32 = 1;

/// Why a stored batch cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another release wrote it in a version that this one does not know.
    #[error("a batch of version {0}, where this program reads version {VERSION}")]
    UnknownVersion(u32),
    /// It is not the JSON of a batch.
    #[error("not the JSON of a batch")]
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
    pub fn to_json(&self) -> Result<String, StateError> {
        Ok(serde_json::to_string(&Written { v: VERSION, batch: self })?)
    }

    /// The batch in a stored JSON.
    pub fn from_json(json: &str) -> Result<Self, StateError> {
        match serde_json::from_str::<Version>(json)?.v {
            VERSION => Ok(serde_json::from_str(json)?),
            other => Err(StateError::UnknownVersion(other)),
        }
    }
}
