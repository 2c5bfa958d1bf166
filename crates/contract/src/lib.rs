//! The messages between BOS and its neighbour services on the event bus.
//!
//! Two generations of the platform's shared models are in use, **2025** and **2026**. The models of both ignore unknown
//! fields, so the writers here write the union of the two ([`events`], [`commands`]), and the readers accept either
//! ([`read()`], [`read_neighbour`]).
//!
//! - [`Topic`] is the table of topics, [`Envelope`] the envelope of every record, [`headers()`] its Kafka headers.
//! - [`status`] and [`course`] hold the platform's vocabularies with their exact strings.
//! - Writers take plain values and borrow. Readers take a slice and allocate only what they return.
//!
//! The crate is pure: no clock, no random numbers, no I/O. It does not know the rules of BOS (crate `domain`); the companions
//! use it as any other service of the platform would.
//!
//! No message holds the text of an essay or a person's name. Two free texts about a class can be sent if the operator enables
//! it; they are [`Private`]: serialized, and never shown by `Debug`.

pub mod commands;
pub mod course;
pub mod envelope;
pub mod events;
mod headers;
mod parts;
pub mod read;
pub mod status;
mod strings;
mod time;
mod topic;

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
pub use read::{
    EssayStatuses, FailureReason, Incoming, IncomingBody, PhaseProgress, ReadError, SpellcheckFigures, read,
};
pub use status::{ClassType, EssayStatus, FinalStatus, OutcomeStatus, PhaseName, ProcessingStage, Verdict};
pub use string_enum::UnknownString;
pub use time::Timestamp;
pub use topic::Topic;
