//! The rules of the service: what a batch is, and what each input means for it.
//!
//! The crate is pure: it does no I/O, reads no clock and draws no random numbers. [`decide`] takes a batch, an input and the
//! time, and returns the next state of the batch with the effects to store, or a [`Refusal`]. `docs/glossary.md` defines the
//! words.
//!
//! ```text
//!             Accept
//!               │
//!          ┌────▼────┐ every text stored or refused, batch closed
//!  Append ─┤ Storing ├───────────────┬──────────────────────┐
//!          └────┬────┘               │ a single essay,      │
//!               │ none stored  ┌─────▼───────┐ or another   │
//!               │              │ Registering │ service      │
//!               │              └─────┬───────┘ registers    │
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
//! A cancel request ends a batch in every stage; in `Running` the phase may finish first. A registration that is never
//! confirmed ends the batch too. An ended run never continues: a start or a retry begins the next run.

mod batch;
mod decide;
mod ids;
mod language;
mod phase;
mod pipeline;
mod refusal;
mod settings;
mod state;
mod status;
mod text;

pub use batch::{AttemptMatch, Attention, Batch, End, Kind, Running, Stage, WaitingOn};
pub use decide::{
    Accept, CancelMode, Decision, Effect, EndedBy, Entry, Input, LifecycleAnswer, Message, OutcomeStatus,
    Reason, Revive, Timer, TimerKind, decide,
};
pub use ids::{BOS_NAMESPACE, BatchId, CorrelationId, EssayId, IdError, Slot, StorageId, event_id};
pub use language::Language;
pub use phase::{FailureCode, PerPhase, Phase, PhaseRecord, PhaseSet, PhaseStatus};
pub use pipeline::Pipeline;
pub use refusal::{CurrentState, Refusal};
pub use settings::{Settings, SingleEssayRoad};
pub use state::StateError;
pub use status::{AttentionCode, BatchStatus, EssayState, Verb, WaitingCode};
pub use string_enum::UnknownString;
