//! The configuration: read once, from layers, typed at the border.
//!
//! Layers, low to high: the embedded [`DEFAULTS`] → a `--config` file → `.env` → the environment → flags. A
//! setting `some_key` is the variable `BATCH_ORCHESTRATOR_SERVICE_SOME_KEY`; a few names that the platform
//! shares are also read without the prefix, at lower rank within their layer (see [`layers`]). Unknown keys are
//! faults with a suggestion, and all faults are reported together.
//!
//! This file and its folder are the only readers of the process environment. Nothing global is kept: parts are
//! handed the settings they need.

pub mod checks;
pub mod error;
mod file;
pub mod layers;
pub mod setting;
pub mod traces;
pub mod words;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use secrecy::SecretString;

pub use error::{Error, Fault};
pub use layers::{Flag, Origin, PREFIX, Sources};
use setting::{Brokers, ContentServiceUrl, DatabaseUrl, settings};
use traces::{CollectorHeaders, CollectorUrl, Part};
use words::{
    Auth, Companions, Environment, KafkaSecurity, Language, LogFormat, LogLevel, SaslMechanism, TracesSampler,
};

/// The lowest layer: every setting with its default and what it means.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// A setting's name, and whether its value is kept out of sight.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The name in the file.
    pub name: &'static str,
    /// Whether the value is never shown.
    pub secret: bool,
}

settings! {
    /// Address that the HTTP server listens on.
    host: IpAddr,
    /// Port that the HTTP server listens on; 0 lets the system choose.
    port: u16,
    /// Directory of `bos.db` and `companions.db`.
    data_dir: PathBuf,
    /// PostgreSQL; unset means SQLite in `data_dir`.
    database_url: Option<DatabaseUrl>,
    /// Connections to PostgreSQL that one process may hold.
    database_max_connections: NonZeroU32,
    /// Kafka; unset means the embedded log.
    kafka_bootstrap_servers: Option<Brokers>,
    /// How Kafka connections are protected.
    kafka_security_protocol: KafkaSecurity,
    /// How this process proves to Kafka who it is.
    kafka_sasl_mechanism: SaslMechanism,
    /// Its name there.
    kafka_sasl_username: Option<String>,
    /// Its password there.
    kafka_sasl_password: Option<SecretString>,
    /// Certificate authorities that Kafka's certificate is checked against; unset means the system's.
    kafka_ssl_ca_location: Option<PathBuf>,
    /// How long a message may wait for its acknowledgement; shorter than the lease.
    kafka_message_timeout: Duration,
    /// How long the consumer group waits for a silent process.
    kafka_session_timeout: Duration,
    /// The Content Service; unset means the embedded one.
    content_service_url: Option<ContentServiceUrl>,
    /// How long connecting to the Content Service may take.
    content_connect_timeout: Duration,
    /// How long one call of the Content Service may take, from the first byte sent to the last byte read.
    content_timeout: Duration,
    /// Neighbours to run in the process on the embedded bus.
    companions: Companions,
    /// A directory of Hunspell dictionaries that is searched before the system's.
    hunspell_dir: Option<PathBuf>,
    /// How much is logged.
    log_level: LogLevel,
    /// The shape of a log line.
    log_format: LogFormat,
    /// Where traces are sent, an OTLP collector; unset means nowhere.
    otel_exporter_otlp_endpoint: Option<CollectorUrl>,
    /// Headers that the collector wants.
    otel_exporter_otlp_headers: Option<CollectorHeaders>,
    /// The name of this service in traces.
    otel_service_name: String,
    /// Which traces are kept.
    otel_traces_sampler: TracesSampler,
    /// Which part of them, for a sampler by ratio.
    otel_traces_sampler_arg: Part,
    /// How careful the start is.
    environment: Environment,
    /// Who may call.
    auth: Auth,
    /// The token that proves a gateway, for `auth = "gateway"`.
    gateway_token: Option<SecretString>,
    /// In production, allow listening beyond this machine without authentication.
    allow_open_bind: bool,
    /// In production, allow SQLite.
    allow_embedded_database: bool,
    /// In production, allow the embedded log and companions instead of Kafka.
    allow_embedded_bus: bool,
    /// In production, allow the embedded Content Service.
    allow_embedded_content: bool,
    /// In production, allow unencrypted Kafka beyond this machine.
    allow_plaintext_kafka: bool,
    /// Allow a Content Service at a link-local address.
    allow_link_local_content: bool,
    /// Language of an essay that states none.
    default_language: Language,
    /// Course code told to the Essay Lifecycle Service for an English batch that names none.
    default_course_en: String,
    /// Course code told to the Essay Lifecycle Service for a Swedish batch that names none.
    default_course_sv: String,
    /// Whether batches are registered with the Essay Lifecycle Service; off where another service does it.
    els_registration: bool,
    /// Whether the Essay Lifecycle Service can redo failed essays.
    els_retries: bool,
    /// Whether what a class is called and asked to write goes onto the bus.
    events_include_class_context: bool,
    /// Version of the nlp command that is sent, 1 or 2.
    nlp_command_version: u16,
    /// HTTP connections open at the same time; more wait to be accepted.
    max_connections: NonZeroU32,
    /// How long a connection may take to send a request's header, which is also how long it may be idle.
    header_timeout: Duration,
    /// Bytes of a request's line and header fields.
    max_header_size: ByteSize,
    /// Header fields of a request.
    max_header_fields: NonZeroU32,
    /// How long a request's body may pause.
    body_chunk_timeout: Duration,
    /// Bytes per second below which a body is given up.
    body_min_rate: ByteSize,
    /// Bytes of one request's body.
    max_body_size: ByteSize,
    /// Bytes of all bodies being worked on.
    max_bodies_in_flight: ByteSize,
    /// How long requests and tasks in flight get at a stop.
    drain_timeout: Duration,
    /// Essays of a batch.
    max_essays: NonZeroU32,
    /// Bytes of an essay.
    max_text_size: ByteSize,
    /// Bytes of texts not yet with the Content Service.
    max_staged_size: ByteSize,
    /// Messages not yet with the broker.
    max_outbox_rows: NonZeroU32,
    /// Part of a backlog cap, in percent, below which work is accepted again.
    backlog_resume_percent: u16,
    /// Labels of a batch.
    max_labels: u32,
    /// Characters of a label's key.
    max_label_key: NonZeroU32,
    /// Characters of a label's value.
    max_label_value: NonZeroU32,
    /// How long a phase may show no sign of life before it needs attention.
    start_timeout: Duration,
    /// How long a phase may take.
    phase_timeout: Duration,
    /// The same for spellcheck alone.
    phase_timeout_spellcheck: Option<Duration>,
    /// The same for nlp alone.
    phase_timeout_nlp: Option<Duration>,
    /// The same for `ai_feedback` alone.
    phase_timeout_ai_feedback: Option<Duration>,
    /// The same for `cj_assessment` alone.
    phase_timeout_cj_assessment: Option<Duration>,
    /// How long the outcome of a phase may come after the news of its last essay.
    outcome_grace: Duration,
    /// How often a failing upload is repeated before its batch needs attention; it is repeated on all the same.
    retry_limit: u32,
    /// Pause before the first repetition; it doubles from there.
    retry_first_delay: Duration,
    /// Longest pause between repetitions.
    retry_max_delay: Duration,
    /// Uploads to the Content Service at the same time.
    ingest_concurrency: NonZeroU32,
    /// How long a shard's lease lasts.
    lease_ttl: Duration,
    /// How often a lease is renewed.
    lease_renewal: Duration,
    /// How often the relay looks for messages without being woken.
    relay_period: Duration,
    /// How often timers are looked at without being woken.
    timer_period: Duration,
    /// How often a silent event stream says that it is alive.
    sse_keep_alive: Duration,
    /// Longest `?wait=` of a status request.
    status_wait_limit: Duration,
    /// How long answers are kept for requests that are sent again.
    idempotency_retention: Duration,
    /// How long ended batches are kept.
    ended_batch_retention: Duration,
    /// How long sent events are kept.
    sent_event_retention: Duration,
    /// How long ids of consumed events are kept.
    inbox_retention: Duration,
}

/// A configuration together with how it came to be.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Each setting as it was written, in the order of the file.
    pub shown: Vec<Shown>,
    /// Variables that Kubernetes injects for a Service of our name, passed over.
    pub ignored: Vec<String>,
    /// What starts all the same but should be known.
    pub warnings: Vec<Fault>,
}

/// A setting for the eyes: secrets are already out of sight.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The key.
    pub key: &'static str,
    /// The text that was written; `None` when nothing is set.
    pub value: Option<String>,
    /// Where it was written; `None` when nothing is set.
    pub origin: Option<Origin>,
}

impl Config {
    /// Reads all layers, types every value and checks the settings against each other.
    ///
    /// # Errors
    /// Every fault that was found, at once.
    pub fn load(sources: &Sources) -> Result<Loaded, Error> {
        Self::load_with(sources, checks::check)
    }

    /// As [`Config::load`], for a command that looks after one part of an installation: what only matters to who serves is
    /// not held against it.
    ///
    /// # Errors
    /// Every fault that was found, at once.
    pub fn load_for_upkeep(sources: &Sources) -> Result<Loaded, Error> {
        Self::load_with(sources, checks::check_for_upkeep)
    }

    fn load_with(sources: &Sources, check: fn(&Self, &[Shown]) -> checks::Findings) -> Result<Loaded, Error> {
        let mut values = layers::Values::read(sources);
        let shown = values.shown();
        let config = Self::read(&mut values);
        let (mut faults, ignored) = values.into_findings();
        let Some(config) = config else { return Err(Error(faults)) };
        let findings = check(&config, &shown);
        faults.extend(findings.faults);
        if faults.is_empty() {
            Ok(Loaded { config, shown, ignored, warnings: findings.warnings })
        } else {
            Err(Error(faults))
        }
    }
}
