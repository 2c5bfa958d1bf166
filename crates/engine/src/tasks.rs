//! The background tasks.
//!
//! A task is woken by a signal after a commit (a hint) and by a period (certainty). It takes no input but reads its table, and it
//! is safe to run twice at once and to kill anywhere. Leases ([`shards`]) avoid double work; correctness never rests on them.
//!
//! - [`ingest`]: staged texts → Content Service → [`News::TextsStored`](crate::News::TextsStored)
//! - [`relay`]: outbox → bus
//! - [`consumer`]: bus → news
//! - [`timers`]: due timers → [`News::DeadlinePassed`](crate::News::DeadlinePassed)
//! - [`inquiry`]: due timers of silent phases → a question to the lifecycle service →
//!   [`News::LifecycleAnswered`](crate::News::LifecycleAnswered); only where the lifecycle service can be asked
//! - [`redrive`]: dead letters of messages that came too early → consumer
//! - [`prune`]: rows past their retention → deleted
//! - [`backlog`]: depths of the queues → admission control and metrics
//! - [`shards`]: leases on shards, for ingest, relay, timers and inquiry

pub mod backlog;
pub mod consumer;
pub(crate) mod disposition;
pub mod ingest;
pub mod inquiry;
mod low_water_marks;
pub mod prune;
pub mod redrive;
pub mod relay;
pub(crate) mod shards;
pub mod timers;
