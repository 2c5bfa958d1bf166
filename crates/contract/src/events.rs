//! Events that BOS and its embedded companions send.

mod nlp;
mod outcome;
mod pipeline;
mod registration;
mod spellcheck;

pub use nlp::{
    BatchNlpAnalysisCompleted, BatchNlpProcessingRequestedV2, EssayNlpCompleted, NlpFigures, NlpReport,
};
pub use outcome::ElsBatchPhaseOutcome;
pub use pipeline::{PipelineCompleted, PipelineSummary};
pub use registration::{
    BatchContentProvisioningCompleted, BatchEssaysRegistered, EssayContentProvisioned, Registration,
};
pub use spellcheck::{
    SpellcheckMetrics, SpellcheckPhaseCompleted, SpellcheckReport, SpellcheckRequested, SpellcheckResult,
};
