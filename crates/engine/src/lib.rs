//! The road that every change to a batch takes, and the background tasks along it.
//!
//! HTTP handlers, the bus consumer, timers and the command line turn an event into [`News`] and pass it to [`Engine::apply`]:
//! one transaction locks the batch, turns the news into an input of [`domain::decide()`], and commits the new state together
//! with all outgoing messages and timers. Everything that leaves the service leaves from a table.
//!
//! - `road`: one function per way in ([`Engine::apply`], [`Engine::submit`], [`Engine::command`]) and the steps that they share
//! - `tasks`: what runs in the background; each task reads one table ([`ingest`], [`relay`], [`consumer`], [`timers`], …)
//! - `wire`: translation between the platform's messages and the words of the domain
//! - [`ports`]: the traits for the event bus, the Content Service, the lifecycle service and the clock, and the embedded bus
//! - [`promotion`]: steps that move an embedded installation to external dependencies; run once, not a task

mod backoff;
mod crash;
mod dependency_health;
mod error;
pub mod metrics;
mod news;
pub mod ports;
pub mod promotion;
mod retention_clock;
mod road;
mod settings;
mod signals;
pub mod spans;
mod tasks;
mod traceparent;
mod wire;

pub use crash::{Crash, CrashPoint};
pub use dependency_health::Outage;
pub use error::Error;
pub use news::{BatchNews, Cause, ConsumedMessage, News, Origin};
pub use ports::LocalBroker;
pub use road::Engine;
pub use road::applied::Applied;
pub use road::idempotency::IdempotencyKey;
pub use road::submit::{Command, Receipt, Submission, SubmittedEssay, SubmittedText};
pub use settings::Settings;
pub use store::{Answer, Owner};
pub use tasks::disposition::{Disposition, Unusable};
pub use tasks::shards::{Leases, Shards};
pub use tasks::{backlog, consumer, ingest, inquiry, prune, redrive, relay, timers};
pub use traceparent::{InvalidTraceparent, Traceparent};
pub use wire::{Expectation, courses, expected_evidence};
