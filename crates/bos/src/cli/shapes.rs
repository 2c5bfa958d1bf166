//! What our own API answers, as far as the command line reads it; see the document at `/openapi.json`.

use std::fmt;

use serde::Deserialize;
use uuid::Uuid;

use super::Exit;
use super::client::Fault;

/// The answer to a new batch.
#[derive(Debug, Deserialize)]
pub(super) struct Accepted {
    /// The batch.
    pub(super) batch_id: Uuid,
    /// Essays that are in it.
    pub(super) accepted: usize,
    /// Essays that were left out of it.
    #[serde(default)]
    pub(super) rejected: usize,
    /// Why.
    #[serde(default)]
    pub(super) rejections: Vec<Fault>,
}

/// The status document of a batch.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Status {
    /// The batch's status, a word of the platform's client vocabulary.
    pub(super) status: String,
    /// Essays by state.
    pub(super) counts: Counts,
    /// The phases that were asked for, in their order.
    #[serde(default)]
    pub(super) phases: Vec<PhaseStatus>,
    /// How it stands, in plain English.
    pub(super) sentence: String,
}

/// Essays of a batch by state.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Counts {
    /// All of them.
    pub(super) total: u64,
    /// Through with everything.
    #[serde(default)]
    pub(super) succeeded: u64,
    /// Failed.
    #[serde(default)]
    pub(super) failed: u64,
}

/// A phase of a batch.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct PhaseStatus {
    /// Its name.
    pub(super) phase: String,
    /// Where it stands.
    pub(super) status: String,
    /// Its attempt, from 1.
    #[serde(default)]
    pub(super) attempt: u32,
    /// The essays in it.
    pub(super) essay_counts: PhaseCounts,
    /// What it waits for.
    #[serde(default)]
    pub(super) waiting_on: Option<WaitingOn>,
}

/// The essays of a phase.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct PhaseCounts {
    /// Essays that went into it; 0 before it begins.
    pub(super) total: u64,
    /// Came through.
    pub(super) successful: u64,
    /// Failed.
    pub(super) failed: u64,
}

/// What something waits for.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct WaitingOn {
    /// The code.
    pub(super) code: String,
    /// More about it.
    #[serde(default)]
    pub(super) detail: Option<String>,
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code.replace('_', " "))?;
        self.detail.iter().try_for_each(|detail| write!(f, ": {detail}"))
    }
}

impl Status {
    /// Whether nothing more happens by itself: the batch has ended, or no phase was asked for.
    pub(super) fn is_at_rest(&self) -> bool {
        !matches!(self.status.as_str(), "pending_content" | "processing")
    }

    /// Whether every essay went as far as it could.
    pub(super) fn has_completed(&self) -> bool {
        matches!(self.status.as_str(), "completed_successfully" | "completed_with_failures")
    }

    /// How a command that waited for the batch ends.
    pub(super) fn exit(&self, rejected: usize) -> Exit {
        match self.status.as_str() {
            "failed" | "cancelled" => Exit::Failed,
            "completed_with_failures" => Exit::SomeFailed,
            _ if rejected > 0 => Exit::SomeFailed,
            _ => Exit::Ok,
        }
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    /// Its rows.
    pub(super) data: Vec<serde_json::Value>,
    /// Where the next page begins.
    #[serde(default)]
    pub(super) next_cursor: Option<String>,
}

/// A batch in a list.
#[derive(Debug, Deserialize)]
pub(super) struct ListedBatch {
    /// The batch.
    pub(super) batch_id: Uuid,
    /// Its name.
    #[serde(default)]
    pub(super) name: Option<String>,
    /// Its status.
    pub(super) status: String,
    /// Whether somebody should look at it.
    #[serde(default)]
    pub(super) needs_attention: bool,
    /// Its essays.
    pub(super) essays: Counts,
    /// When it was made, RFC 3339.
    pub(super) created_at: String,
}

/// An essay, and what each phase said about it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Essay {
    /// The essay.
    pub(super) essay_id: Uuid,
    /// The caller's own name for it.
    #[serde(default)]
    pub(super) client_ref: Option<String>,
    /// Where it stands.
    pub(super) state: String,
    /// Why it failed.
    #[serde(default)]
    pub(super) error_code: Option<String>,
    /// The text as it was accepted, in a line of results.
    #[serde(default)]
    pub(super) original_text_storage_id: Option<String>,
    /// The same in an essay; in a line of results the latest text.
    #[serde(default)]
    pub(super) text_storage_id: Option<String>,
    /// The phases that ended for it.
    #[serde(default)]
    pub(super) phases: Vec<EssayPhase>,
}

/// What a phase said about an essay.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct EssayPhase {
    /// The phase.
    pub(super) phase: String,
    /// The attempt, from 1.
    #[serde(default)]
    pub(super) attempt: u32,
    /// Succeeded, failed or cancelled.
    pub(super) state: String,
    /// Why it failed.
    #[serde(default)]
    pub(super) error_code: Option<String>,
    /// The text that the phase made.
    #[serde(default)]
    pub(super) text_storage_id: Option<String>,
    /// Its figures.
    #[serde(default)]
    pub(super) figures: Option<Figures>,
}

/// What phases measure; each says its part.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Figures {
    /// Words in the text.
    #[serde(default)]
    pub(super) words: Option<u64>,
    /// Words that were corrected.
    #[serde(default)]
    pub(super) corrections: Option<u64>,
    /// The readability index.
    #[serde(default)]
    pub(super) lix: Option<f64>,
}

impl Essay {
    /// The name that people know it by.
    pub(super) fn name(&self) -> String {
        self.client_ref.clone().unwrap_or_else(|| self.essay_id.to_string())
    }

    /// A figure of the latest phase that has it.
    pub(super) fn figure<T>(&self, of: impl Fn(&Figures) -> Option<T>) -> Option<T> {
        self.phases.iter().rev().find_map(|phase| of(phase.figures.as_ref()?))
    }

    /// Where the original and the corrected text are, when a spellcheck made one.
    pub(super) fn texts(&self) -> Option<(&str, &str)> {
        let corrected = self.phases.iter().rev().find(|phase| phase.phase == "spellcheck")?;
        let original = self.original_text_storage_id.as_ref().or(self.text_storage_id.as_ref())?;
        Some((original, corrected.text_storage_id.as_deref()?))
    }
}
