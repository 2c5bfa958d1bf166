//! What librdkafka says beside its answers: its log, its errors, and every few seconds its figures.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;

use super::denial::Denial;

/// The clients of one cluster, as far as they can reach it. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    clients: Arc<Mutex<Vec<Arc<AtomicU8>>>>,
    forbidden: Forbidden,
}

/// When somebody was last not allowed something. No answer says that he is allowed it by now, and whoever is forbidden
/// something tries again, by another client if need be; so what was said a while ago holds no more.
#[derive(Debug, Clone, Default)]
struct Forbidden(Arc<Mutex<Option<Instant>>>);

/// Longer than any pause between two tries, with the time that a client needs to be told.
const HOLDS: Duration = Duration::from_secs(15);

impl Forbidden {
    fn is_so(&self) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < HOLDS)
    }

    /// Says what to do, unless that was said before and nothing has changed since.
    fn note(&self, reason: &str) {
        let was_so = self.is_so();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if !was_so {
            say(Denial::Right, reason);
        }
    }
}

fn say(denial: Denial, reason: &str) {
    tracing::error!(code = denial.code(), reason, "kafka cannot be used: {denial}; {}", denial.mend());
}

const UNKNOWN: u8 = 0;
const UP: u8 = 1;
const DOWN: u8 = 2;
const DENIED: u8 = 3;
const UNTRUSTED: u8 = 4;

impl Health {
    /// A place for one more client.
    pub(super) fn client(&self) -> ClientHealth {
        let state = Arc::new(AtomicU8::new(UNKNOWN));
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&state));
        ClientHealth { state, forbidden: self.forbidden.clone() }
    }

    /// Somebody was not allowed something.
    pub(super) fn forbids(&self, reason: &str) {
        self.forbidden.note(reason);
    }

    /// Why some client cannot use the cluster just now.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        // A client that is gone has only our own handle left.
        clients.retain(|state| Arc::strong_count(state) > 1);
        let trouble = clients.iter().find_map(|state| match state.load(Ordering::Relaxed) {
            DOWN => Some("broker_unreachable"),
            state => denial(state).map(Denial::code),
        });
        trouble.or_else(|| self.forbidden.is_so().then_some(Denial::Right.code()))
    }
}

const fn denial(state: u8) -> Option<Denial> {
    match state {
        DENIED => Some(Denial::Password),
        UNTRUSTED => Some(Denial::Certificate),
        _ => None,
    }
}

/// One client's view.
#[derive(Debug, Clone)]
pub(super) struct ClientHealth {
    state: Arc<AtomicU8>,
    forbidden: Forbidden,
}

impl ClientHealth {
    /// The cluster has answered.
    pub(super) fn answered(&self) {
        self.state.store(UP, Ordering::Relaxed);
    }

    /// Whether the client and the cluster do not believe each other.
    pub(super) fn denial(&self) -> Option<Denial> {
        denial(self.state.load(Ordering::Relaxed))
    }

    /// Says what to do when that is new, and not at each of the many tries that follow.
    pub(super) fn denied(&self, denial: Denial, reason: &str) {
        let state = match denial {
            Denial::Password => DENIED,
            Denial::Certificate => UNTRUSTED,
            Denial::Right => return self.forbidden.note(reason),
        };
        if self.state.swap(state, Ordering::Relaxed) != state {
            say(denial, reason);
        }
    }

    /// No broker can be used; why a door is closed is known already.
    fn down(&self) {
        if self.denial().is_none() {
            self.state.store(DOWN, Ordering::Relaxed);
        }
    }
}

impl ConsumerContext for ClientHealth {}

impl ClientContext for ClientHealth {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // librdkafka repeats itself while a broker is away; what matters of it is said by whoever waits for it.
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "kafka: {message}");
            }
            RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning
            | RDKafkaLogLevel::Notice
            | RDKafkaLogLevel::Info
            | RDKafkaLogLevel::Debug => tracing::debug!(facility, "kafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            if let Some(denial) = Denial::of(code) {
                self.denied(denial, reason);
            } else if code == RDKafkaErrorCode::AllBrokersDown {
                self.down();
            }
        }
        tracing::debug!(%error, reason, "kafka");
    }

    fn stats(&self, figures: Statistics) {
        // Brokers that were only named, not met, have no number.
        let mut met = figures.brokers.values().filter(|broker| broker.nodeid >= 0).peekable();
        if met.peek().is_some() {
            let up = met.any(|broker| broker.state == "UP");
            if up {
                self.state.store(UP, Ordering::Relaxed);
            } else {
                self.down();
            }
        }
        if figures.client_type == "consumer" {
            for (name, topic) in &figures.topics {
                let lag = topic.partitions.values().map(|partition| partition.consumer_lag.max(0)).sum();
                engine::metrics::lag(name, lag);
            }
        }
    }
}
