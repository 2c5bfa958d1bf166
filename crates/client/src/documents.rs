//! The documents of the API: the JSON of its requests and answers, one type each. The server writes and clients read the same type.
//!
//! - A field that a type does not have is skipped, so a server may add fields.
//! - Ids and words are those of `domain`. A word that this version does not have makes the document unreadable, except in problems:
//!   their codes are text here, because a client must understand the refusal of a newer server.
//! - With the feature `openapi`, each type describes itself. Sets that only the server knows (the codes of problems, the courses)
//!   are text here, and `api` adds them to the description.
//!
//! How the server makes an answer from the rows of its store, and how it checks a request, is in `api`.

mod accepted;
mod batch;
mod dead_letter;
mod essay;
mod limits;
mod list;
mod outbox;
mod page;
mod problem;
mod readiness;
mod request;
mod results;
#[cfg(feature = "openapi")]
pub mod schemas;
mod status;
mod token;

pub use accepted::{AcceptedEssay, BatchAccepted, Links, Rejection, Triggered};
pub use batch::BatchDocument;
pub use dead_letter::{
    DeadLetterCounts, DeadLetterDetail, DeadLetterList, DeadLetterRecord, DeadLetterSummary, MessagePosition,
    ReplayOutcome,
};
pub use essay::{EssayDocument, EssayPhaseDocument};
pub use limits::Limits;
pub use list::{BatchPage, BatchSummary, EssayTotals};
pub use outbox::{OutboxCounts, OutboxList, OutboxMessage, OutboxOutcome, OutboxPosition, OutboxState};
pub use page::Page;
pub use problem::{Fault, ProblemDocument};
pub use readiness::{Alive, Degraded, Readiness};
pub use request::{BatchRequest, EssayRequest, PipelineRequest, TriggerRequest};
pub use results::{Figures, PhaseLine, ResultLine};
pub use status::{AttentionDocument, Counts, PhaseCounts, PhaseDocument, StatusDocument, WaitingDocument};
pub use token::{IssuedDocument, Scope, TokenDocument, TokenRequest, TokenStatus};
