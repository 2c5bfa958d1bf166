//! The ports: traits for what the engine needs from outside, namely an event bus, a Content Service, the lifecycle service's view of
//! a batch, and a clock.
//!
//! A port exists only where it has two real implementations: Kafka and the embedded log, HTTP clients and the Content and lifecycle
//! services in the process, the system's clock and a manual clock for tests.

mod broker;
mod clock;
mod content;
mod lifecycle;
pub(crate) mod local_broker;

pub use broker::{Broker, BrokerError, Delivery, Record, RecordPosition, SendError, Subscription};
pub use clock::{Clock, ManualClock, SystemClock};
pub use content::{ContentError, ContentStore};
pub use lifecycle::{LifecycleError, LifecycleStatus};
pub use local_broker::LocalBroker;

pub use crate::traceparent::Traceparent;
