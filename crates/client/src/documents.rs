//! The documents of the API, with the fields that clients read. `/openapi.json` describes all fields.

use std::fmt;

use serde::Deserialize;
use uuid::Uuid;

use crate::Fault;

/// The answer to a new batch.
#[derive(Debug, Deserialize)]
pub struct Accepted {
    /// The id of the batch.
    pub batch_id: Uuid,
    /// The number of essays in it.
    pub accepted: usize,
    /// The number of essays that were refused.
    #[serde(default)]
    pub rejected: usize,
    /// The faults of the refused essays.
    #[serde(default)]
    pub rejections: Vec<Fault>,
}

/// The status document of a batch.
#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    /// The status of the batch, such as `processing`: a word of the platform's vocabulary for clients.
    pub status: String,
    /// Essays by state.
    pub counts: Counts,
    /// The requested phases, in their order.
    #[serde(default)]
    pub phases: Vec<PhaseStatus>,
    /// The status as an English sentence.
    pub sentence: String,
}

/// Essays of a batch by state.
#[derive(Debug, Clone, Deserialize)]
pub struct Counts {
    /// All essays of the batch.
    pub total: u64,
    /// Essays that succeeded in every requested phase.
    #[serde(default)]
    pub succeeded: u64,
    /// Essays that failed.
    #[serde(default)]
    pub failed: u64,
}

/// A phase of a batch.
#[derive(Debug, Clone, Deserialize)]
pub struct PhaseStatus {
    /// The name of the phase.
    pub phase: String,
    /// The status of the phase.
    pub status: String,
    /// The attempt, counted from 1.
    #[serde(default)]
    pub attempt: u32,
    /// The essays of the phase by result.
    pub essay_counts: PhaseCounts,
    /// What the phase waits for.
    #[serde(default)]
    pub waiting_on: Option<WaitingOn>,
}

/// The essays of a phase by result.
#[derive(Debug, Clone, Deserialize)]
pub struct PhaseCounts {
    /// Essays that entered the phase; 0 before it begins.
    pub total: u64,
    /// Essays that succeeded in it.
    pub successful: u64,
    /// Essays that failed in it.
    pub failed: u64,
}

/// What a batch or a phase waits for.
#[derive(Debug, Clone, Deserialize)]
pub struct WaitingOn {
    /// The code, such as `results`.
    pub code: String,
    /// A detail, in English.
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
    /// Whether nothing more happens without a request: the batch has ended, or no phase was requested.
    pub fn is_at_rest(&self) -> bool {
        !matches!(self.status.as_str(), "pending_content" | "processing")
    }

    /// Whether the batch has completed, with or without failed essays.
    pub fn has_completed(&self) -> bool {
        matches!(self.status.as_str(), "completed_successfully" | "completed_with_failures")
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// The rows of the page.
    pub data: Vec<serde_json::Value>,
    /// The cursor of the next page; none on the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// A batch in a list.
#[derive(Debug, Deserialize)]
pub struct ListedBatch {
    /// The id of the batch.
    pub batch_id: Uuid,
    /// The name of the batch.
    #[serde(default)]
    pub name: Option<String>,
    /// The status of the batch.
    pub status: String,
    /// Whether the batch needs attention: it does not continue without help.
    #[serde(default)]
    pub needs_attention: bool,
    /// The essays of the batch by state.
    pub essays: Counts,
    /// When the batch was accepted, in RFC 3339.
    pub created_at: String,
}

/// An essay, with the result of each phase.
#[derive(Debug, Clone, Deserialize)]
pub struct Essay {
    /// The id of the essay.
    pub essay_id: Uuid,
    /// The caller's name for the essay.
    #[serde(default)]
    pub client_ref: Option<String>,
    /// The state of the essay.
    pub state: String,
    /// The code of the error with which it failed.
    #[serde(default)]
    pub error_code: Option<String>,
    /// The storage id of the accepted text; only in a line of results.
    #[serde(default)]
    pub original_text_storage_id: Option<String>,
    /// In an essay the storage id of the accepted text, in a line of results that of the latest text.
    #[serde(default)]
    pub text_storage_id: Option<String>,
    /// The phases that have ended for the essay.
    #[serde(default)]
    pub phases: Vec<EssayPhase>,
}

/// The result of a phase for an essay.
#[derive(Debug, Clone, Deserialize)]
pub struct EssayPhase {
    /// The name of the phase.
    pub phase: String,
    /// The attempt, counted from 1.
    #[serde(default)]
    pub attempt: u32,
    /// `succeeded`, `failed` or `cancelled`.
    pub state: String,
    /// The code of the error with which it failed.
    #[serde(default)]
    pub error_code: Option<String>,
    /// The storage id of the text that the phase produced.
    #[serde(default)]
    pub text_storage_id: Option<String>,
    /// The figures that the phase measured.
    #[serde(default)]
    pub figures: Option<Figures>,
}

/// The figures that phases measure. Each phase gives some of them.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Figures {
    /// Words in the text.
    #[serde(default)]
    pub words: Option<u64>,
    /// Corrected words.
    #[serde(default)]
    pub corrections: Option<u64>,
    /// The readability index LIX.
    #[serde(default)]
    pub lix: Option<f64>,
}

impl Essay {
    /// The caller's name for the essay; its id if it has none.
    pub fn name(&self) -> String {
        self.client_ref.clone().unwrap_or_else(|| self.essay_id.to_string())
    }

    /// A figure from the latest phase that measured it.
    pub fn figure<T>(&self, of: impl Fn(&Figures) -> Option<T>) -> Option<T> {
        self.phases.iter().rev().find_map(|phase| of(phase.figures.as_ref()?))
    }

    /// The storage ids of the original and the corrected text; `None` before a spellcheck produced one.
    pub fn texts(&self) -> Option<(&str, &str)> {
        let corrected = self.phases.iter().rev().find(|phase| phase.phase == "spellcheck")?;
        let original = self.original_text_storage_id.as_ref().or(self.text_storage_id.as_ref())?;
        Some((original, corrected.text_storage_id.as_deref()?))
    }
}
