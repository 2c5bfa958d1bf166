//! The documents of the API, as far as its clients read them; the whole of them is described at `/openapi.json`.

use std::fmt;

use serde::Deserialize;
use uuid::Uuid;

use crate::Fault;

/// The answer to a new batch.
#[derive(Debug, Deserialize)]
pub struct Accepted {
    /// The batch.
    pub batch_id: Uuid,
    /// Essays that are in it.
    pub accepted: usize,
    /// Essays that were left out of it.
    #[serde(default)]
    pub rejected: usize,
    /// Why.
    #[serde(default)]
    pub rejections: Vec<Fault>,
}

/// The status document of a batch.
#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    /// The batch's status, a word of the platform's client vocabulary.
    pub status: String,
    /// Essays by state.
    pub counts: Counts,
    /// The phases that were asked for, in their order.
    #[serde(default)]
    pub phases: Vec<PhaseStatus>,
    /// How it stands, in plain English.
    pub sentence: String,
}

/// Essays of a batch by state.
#[derive(Debug, Clone, Deserialize)]
pub struct Counts {
    /// All of them.
    pub total: u64,
    /// Through with everything.
    #[serde(default)]
    pub succeeded: u64,
    /// Failed.
    #[serde(default)]
    pub failed: u64,
}

/// A phase of a batch.
#[derive(Debug, Clone, Deserialize)]
pub struct PhaseStatus {
    /// Its name.
    pub phase: String,
    /// Where it stands.
    pub status: String,
    /// Its attempt, from 1.
    #[serde(default)]
    pub attempt: u32,
    /// The essays in it.
    pub essay_counts: PhaseCounts,
    /// What it waits for.
    #[serde(default)]
    pub waiting_on: Option<WaitingOn>,
}

/// The essays of a phase.
#[derive(Debug, Clone, Deserialize)]
pub struct PhaseCounts {
    /// Essays that went into it; 0 before it begins.
    pub total: u64,
    /// Came through.
    pub successful: u64,
    /// Failed.
    pub failed: u64,
}

/// What something waits for.
#[derive(Debug, Clone, Deserialize)]
pub struct WaitingOn {
    /// The code.
    pub code: String,
    /// More about it.
    #[serde(default)]
    pub detail: Option<String>,
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code.replace('_', " "))?;
        self.detail.iter().try_for_each(|detail| write!(f, ": {detail}"))
    }
}

impl Status {
    /// Whether nothing more happens by itself: the batch has ended, or no phase was asked for.
    pub fn is_at_rest(&self) -> bool {
        !matches!(self.status.as_str(), "pending_content" | "processing")
    }

    /// Whether every essay went as far as it could.
    pub fn has_completed(&self) -> bool {
        matches!(self.status.as_str(), "completed_successfully" | "completed_with_failures")
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// Its rows.
    pub data: Vec<serde_json::Value>,
    /// Where the next page begins.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// A batch in a list.
#[derive(Debug, Deserialize)]
pub struct ListedBatch {
    /// The batch.
    pub batch_id: Uuid,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Its status.
    pub status: String,
    /// Whether somebody should look at it.
    #[serde(default)]
    pub needs_attention: bool,
    /// Its essays.
    pub essays: Counts,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

/// An essay, and what each phase said about it.
#[derive(Debug, Clone, Deserialize)]
pub struct Essay {
    /// The essay.
    pub essay_id: Uuid,
    /// The caller's own name for it.
    #[serde(default)]
    pub client_ref: Option<String>,
    /// Where it stands.
    pub state: String,
    /// Why it failed.
    #[serde(default)]
    pub error_code: Option<String>,
    /// The text as it was accepted, in a line of results.
    #[serde(default)]
    pub original_text_storage_id: Option<String>,
    /// The same in an essay; in a line of results the latest text.
    #[serde(default)]
    pub text_storage_id: Option<String>,
    /// The phases that ended for it.
    #[serde(default)]
    pub phases: Vec<EssayPhase>,
}

/// What a phase said about an essay.
#[derive(Debug, Clone, Deserialize)]
pub struct EssayPhase {
    /// The phase.
    pub phase: String,
    /// The attempt, from 1.
    #[serde(default)]
    pub attempt: u32,
    /// Succeeded, failed or cancelled.
    pub state: String,
    /// Why it failed.
    #[serde(default)]
    pub error_code: Option<String>,
    /// The text that the phase made.
    #[serde(default)]
    pub text_storage_id: Option<String>,
    /// Its figures.
    #[serde(default)]
    pub figures: Option<Figures>,
}

/// What phases measure; each says its part.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Figures {
    /// Words in the text.
    #[serde(default)]
    pub words: Option<u64>,
    /// Words that were corrected.
    #[serde(default)]
    pub corrections: Option<u64>,
    /// The readability index.
    #[serde(default)]
    pub lix: Option<f64>,
}

impl Essay {
    /// The name that people know it by.
    pub fn name(&self) -> String {
        self.client_ref.clone().unwrap_or_else(|| self.essay_id.to_string())
    }

    /// A figure of the latest phase that has it.
    pub fn figure<T>(&self, of: impl Fn(&Figures) -> Option<T>) -> Option<T> {
        self.phases.iter().rev().find_map(|phase| of(phase.figures.as_ref()?))
    }

    /// Where the original and the corrected text are, when a spellcheck made one.
    pub fn texts(&self) -> Option<(&str, &str)> {
        let corrected = self.phases.iter().rev().find(|phase| phase.phase == "spellcheck")?;
        let original = self.original_text_storage_id.as_ref().or(self.text_storage_id.as_ref())?;
        Some((original, corrected.text_storage_id.as_deref()?))
    }
}
