//! The road every change to a batch travels, and the tasks along it.
//!
//! HTTP, the bus, timers and the command line all turn what happened into [`News`] and hand it to [`Engine::apply`]: one
//! transaction locks the batch, makes the news into an input of [`domain::decide()`], and commits the new state with everything
//! that is to be sent. Everything that leaves the service leaves from a table:
//!
//! - [`ingest`]: staged texts → Content Service → [`News::TextsStored`]
//! - [`relay`]: outbox → bus
//! - [`timers`]: due rows → [`News::DeadlinePassed`]
//! - [`consumer`]: bus → news
//! - [`redrive`]: news that came too early → consumer, once more
//! - [`prune`]: what is past its time → gone
//!
//! [`promotion`] is no task: it is what an installation does once, on its way to other neighbours.
//!
//! The tasks are alike: woken by a signal after a commit (a hint) and by a period (certainty); they take no input, read their
//! table, are safe to run twice and to kill anywhere.

mod apply;
pub mod backlog;
mod backoff;
mod change;
pub mod consumer;
mod crash;
mod dealt;
mod error;
mod from_wire;
pub mod ingest;
mod local_broker;
pub mod metrics;
mod news;
mod perform;
pub mod ports;
pub mod promotion;
pub mod prune;
pub mod redrive;
pub mod relay;
mod resolve;
mod rush;
mod settings;
mod shards;
mod signals;
pub mod spans;
mod submit;
pub mod timers;
mod to_wire;
mod traceparent;
mod trouble;
mod units;

pub use apply::{Applied, Engine};
pub use crash::{Crash, CrashPoint};
pub use dealt::{Dealt, Unusable};
pub use error::Error;
pub use from_wire::{Trace, courses, trace};
pub use local_broker::LocalBroker;
pub use news::{Cause, Message, News, Origin};
pub use settings::Settings;
pub use shards::{Leases, Shards};
pub use store::{Answer, Owner};
pub use submit::{Command, Key, Receipt, Submission, SubmittedEssay, SubmittedText};
pub use traceparent::{NoTraceparent, Traceparent};
pub use trouble::Trouble;
