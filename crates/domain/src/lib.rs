//! The rules of the service: what a batch is, and what each piece of news means for it.
//!
//! Everything here is pure. [`decide`] takes a batch, an input and the time, and answers with the batch as it is next and
//! the effects to store with it, or with a refusal. It does no I/O, reads no clock and draws no random ids.
//!
//! ```text
//!             Accept
//!               │
//!          ┌────▼────┐ every text stored or refused, and closed
//!  Append ─┤ Storing ├───────────────┬──────────────────────┐
//!          └────┬────┘               │ a single essay,      │
//!               │ none stored  ┌─────▼───────┐ or others    │
//!               │              │ Registering │ register     │
//!               │              └─────┬───────┘              │
//!               │         Registered │                      │
//!               │   nothing planned  │  a phase is planned  │
//!               │     or paused ┌────┴────────┬─────────────┘
//!               │          ┌────▼──┐ Start ┌──▼──────┐
//!               │          │ Ready ├───────► Running ├─┐ the next phase
//!               │          └────▲──┘ Resume└──┬───▲──┘ │ of the plan
//!               │               └─────────────┤   └────┘
//!               │                 paused      │ nothing left, or cancelled
//!               │                          ┌──▼────┐
//!               └──────────────────────────► Ended ├── Start, Retry: the next run
//!                                          └───────┘
//! ```
//!
//! A cancel ends a batch in every stage, though `Running` may finish its phase first; a registration that is never
//! confirmed ends it too. Within a run, ended is ended.

mod batch;
mod decide;
mod ids;
mod language;
mod phase;
mod pipeline;
mod settings;
mod state;
mod status;
mod words;

pub use batch::{AttemptMatch, Attention, Batch, End, Kind, Running, Stage, WaitingOn};
pub use decide::{
    Accept, CancelMode, Decision, Effect, EndedBy, Entry, Input, Message, OutcomeWord, Reason, Refusal,
    Revive, Standing, Timer, TimerKind, decide,
};
pub use ids::{BOS_NAMESPACE, BatchId, CorrelationId, EssayId, IdError, Slot, StorageId, event_id};
pub use language::Language;
pub use phase::{FailureCode, PerPhase, Phase, PhaseRecord, PhaseSet, PhaseStatus};
pub use pipeline::Pipeline;
pub use settings::Settings;
pub use state::StateError;
pub use status::{AttentionCode, BatchStatus, EssayState, Verb, WaitingCode};
pub use words::UnknownWord;
