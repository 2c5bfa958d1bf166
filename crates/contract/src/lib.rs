//! The words that BOS and its neighbours say to each other over the event bus, and nothing else.
//!
//! Two generations of the platform's shared models are in use, **2025** and **2026**. Every model of both ignores
//! fields it does not know, so what is written here is the union of the two ([`events`], [`commands`]), and what is
//! read here is whatever either of them writes ([`read()`], [`read_neighbour`]).
//!
//! - [`Topic`] is the one table of topics, [`Envelope`] the wrapper of every record, [`headers()`] its Kafka headers.
//! - [`status`] and [`course`] hold the platform's vocabularies with their exact strings.
//! - Writers take plain values and borrow; readers take a slice and allocate only what they hand on.
//!
//! The crate is pure: no clock, no random ids, no I/O. It does not know the rules of BOS (crate `domain`); a companion
//! service uses it as a neighbour would.
//!
//! Essay text and names never pass through here. The two free texts that may be sent, when the operator asks for it,
//! are [`Private`]: they are serialized and never shown by `Debug`.

pub mod commands;
pub mod course;
pub mod envelope;
pub mod events;
mod headers;
mod parts;
pub mod read;
pub mod status;
mod time;
mod topic;
mod words;

pub use commands::{
    Command, InitiateAiFeedback, InitiateCjAssessment, InitiateNlp, InitiateSpellcheck, NlpCommandVersion,
};
pub use course::{CourseCode, DEFAULT_COURSE_EN, DEFAULT_COURSE_SV, Language};
pub use envelope::{Envelope, Metadata, Payload, Source};
pub use events::{
    BatchContentProvisioningCompleted, BatchEssaysRegistered, BatchNlpAnalysisCompleted,
    BatchNlpProcessingRequestedV2, ElsBatchPhaseOutcome, EssayContentProvisioned, EssayNlpCompleted,
    NlpFigures, NlpReport, PipelineCompleted, PipelineSummary, Registration, SpellcheckMetrics,
    SpellcheckPhaseCompleted, SpellcheckReport, SpellcheckRequested, SpellcheckResult,
};
pub use headers::{Delivery, Header, headers};
pub use parts::{EssayRef, Private};
pub use read::neighbour::{NeighbourBody, read_neighbour};
pub use read::{Incoming, IncomingBody, ReadError, SpellcheckFigures, read};
pub use status::{
    ClassType, ClientBatchStatus, EssayStatus, FinalStatus, OutcomeWord, PhaseName, PipelineExecutionStatus,
    ProcessingStage, Verdict,
};
pub use time::Timestamp;
pub use topic::Topic;
pub use words::UnknownWord;
