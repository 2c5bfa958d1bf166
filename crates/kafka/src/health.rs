//! The health of the clients, from librdkafka's callbacks: log, errors, and statistics every 5 s.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::{self, Statistics};
use secret::Secret;

use super::denial::Denial;
use super::settings::SettingNames;

/// The health of all clients of one cluster. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    clients: Arc<Mutex<Vec<Arc<AtomicU8>>>>,
    forbidden: Forbidden,
    names: SettingNames,
    password: Option<Secret>,
}

/// When Kafka last reported a missing right. No event says that the right was granted since; but what lacks a right is tried again, by a
/// new client if need be, so an old report no longer holds.
#[derive(Debug, Clone, Default)]
struct Forbidden(Arc<Mutex<Option<Instant>>>);

/// How long a report holds: longer than any pause between two tries plus the time until a client learns of the refusal.
const HOLDS: Duration = Duration::from_secs(15);

impl Forbidden {
    fn holds(&self) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < HOLDS)
    }

    /// Notes a report, and logs it with what to do unless the previous one still holds.
    fn note(&self, reason: &str, names: &SettingNames) {
        let held = self.holds();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if !held {
            log_denial(Denial::Right, reason, names);
        }
    }
}

fn log_denial(denial: Denial, reason: &str, names: &SettingNames) {
    let next_step = denial.next_step(names);
    tracing::error!(code = denial.code(), reason, "kafka cannot be used: {denial}; {next_step}");
}

const UNKNOWN: u8 = 0;
const UP: u8 = 1;
const DOWN: u8 = 2;
const DENIED: u8 = 3;
const UNTRUSTED: u8 = 4;

impl Health {
    /// No clients yet. Messages name the settings as `names` does. `password` is read again when Kafka refuses it.
    pub(crate) fn new(names: SettingNames, password: Option<Secret>) -> Self {
        Self { clients: Arc::default(), forbidden: Forbidden::default(), names, password }
    }

    /// The health of one more client.
    pub(crate) fn client(&self) -> ClientHealth {
        let state = Arc::new(AtomicU8::new(UNKNOWN));
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&state));
        ClientHealth {
            state,
            forbidden: self.forbidden.clone(),
            names: self.names,
            password: self.password.clone(),
        }
    }

    /// Notes that Kafka reported a missing right.
    pub(crate) fn forbids(&self, reason: &str) {
        self.forbidden.note(reason, &self.names);
    }

    /// The code of the worst trouble of any client, if there is one.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a closed client only our own handle is left.
        clients.retain(|state| Arc::strong_count(state) > 1);
        let trouble = clients.iter().find_map(|state| match state.load(Ordering::Relaxed) {
            DOWN => Some("broker_unreachable"),
            state => denial(state).map(Denial::code),
        });
        trouble.or_else(|| self.forbidden.holds().then_some(Denial::Right.code()))
    }
}

const fn denial(state: u8) -> Option<Denial> {
    match state {
        DENIED => Some(Denial::Password),
        UNTRUSTED => Some(Denial::Certificate),
        _ => None,
    }
}

/// The health of one client.
#[derive(Debug, Clone)]
pub(crate) struct ClientHealth {
    state: Arc<AtomicU8>,
    forbidden: Forbidden,
    names: SettingNames,
    password: Option<Secret>,
}

impl ClientHealth {
    /// Notes that the cluster has answered.
    pub(crate) fn answered(&self) {
        self.state.store(UP, Ordering::Relaxed);
    }

    /// The denial that this client has met, if any.
    pub(crate) fn denial(&self) -> Option<Denial> {
        denial(self.state.load(Ordering::Relaxed))
    }

    /// Notes a denial, and logs it once with what to do, not at each retry.
    pub(crate) fn denied(&self, denial: Denial, reason: &str) {
        let state = match denial {
            Denial::Password => DENIED,
            Denial::Certificate => UNTRUSTED,
            Denial::Right => return self.forbidden.note(reason, &self.names),
        };
        if self.state.swap(state, Ordering::Relaxed) != state {
            log_denial(denial, reason, &self.names);
        }
        if let (Denial::Password, Some(password)) = (denial, &self.password) {
            // The producer and the consumers replace their clients when the password has changed.
            password.read_again_after_refusal("kafka_sasl_password");
        }
    }

    /// Notes that no broker can be reached, unless a denial is known as the cause.
    fn down(&self) {
        if self.denial().is_none() {
            self.state.store(DOWN, Ordering::Relaxed);
        }
    }
}

/// Records of a partition that are not read yet. Offsets alone do not tell: transaction markers and aborted records have offsets
/// and are never delivered. What librdkafka has fetched without keeping anything of it is such.
fn lag(partition: &statistics::Partition) -> i64 {
    let statistics::Partition { next_offset, ls_offset, eof_offset, fetchq_cnt, consumer_lag, .. } =
        partition;
    let is_at_the_end = *ls_offset >= 0 && next_offset >= ls_offset && eof_offset >= ls_offset;
    if is_at_the_end && *fetchq_cnt == 0 { 0 } else { (*consumer_lag).max(0) }
}

impl ConsumerContext for ClientHealth {}

impl ClientContext for ClientHealth {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // librdkafka repeats itself while a broker is away; the producer, the consumer and readiness report what matters.
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
            if let Some(denial) = Denial::from_code(code) {
                self.denied(denial, reason);
            } else if code == RDKafkaErrorCode::AllBrokersDown {
                self.down();
            }
        }
        tracing::debug!(%error, reason, "kafka");
    }

    fn stats(&self, figures: Statistics) {
        // Bootstrap entries that were never connected to have no node id.
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
                let lag = topic.partitions.values().map(lag).sum();
                engine::metrics::lag(name, lag);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_and_aborted_records_at_the_end_of_a_partition_are_no_lag() {
        // Two records were handed out. An aborted record and two markers follow them.
        let read = statistics::Partition {
            app_offset: 2,
            next_offset: 5,
            eof_offset: 5,
            ls_offset: 5,
            consumer_lag: 3,
            ..statistics::Partition::default()
        };
        assert_eq!(lag(&read), 0);
        let fetched = statistics::Partition { fetchq_cnt: 1, ..read.clone() };
        assert_eq!(lag(&fetched), 3, "a fetched record may be one to hand out");
        let behind = statistics::Partition { ls_offset: 6, consumer_lag: 4, ..read.clone() };
        assert_eq!(lag(&behind), 4, "not everything is fetched");
        let unknown = statistics::Partition { ls_offset: -1, consumer_lag: -1, ..read };
        assert_eq!(lag(&unknown), 0);
    }
}
