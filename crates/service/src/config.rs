//! The configuration: read once from layers, with every value parsed and checked.
//!
//! Layers, low to high: the embedded [`DEFAULTS`] → a `--config` file → `.env` → the environment → flags. A
//! setting `some_key` is the variable `BATCH_ORCHESTRATOR_SERVICE_SOME_KEY`; a few names that the platform
//! shares are also read without the prefix, at lower rank within their layer (see [`layers`]). Unknown keys are
//! faults with a suggestion, and all faults are reported together.
//!
//! This module is the only reader of the process environment. Nothing global is kept: the other parts get the settings
//! that they need as values.

pub mod checks;
mod dotenv;
pub mod error;
mod file;
pub mod layers;
mod origin;
pub mod secret_file;
pub mod setting;
pub mod traces;
pub mod words;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use secret::Secret;

pub use error::{Error, Fault};
pub use layers::{Flag, PREFIX, Sources};
pub use origin::Origin;
use setting::{AllowedHosts, Brokers, ContentServiceUrl, DatabaseUrl, ElsUrl, settings};
use traces::{CollectorHeaders, CollectorUrl, Part};
use words::{
    Auth, Companions, Environment, KafkaSecurity, Language, LogFormat, LogLevel, SaslMechanism,
    SingleEssayRoad, TracesSampler,
};

/// The lowest layer: every setting with its default and its explanation.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// The name of a setting, and whether its value is a secret.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The name in a file of settings.
    pub name: &'static str,
    /// Whether the value is never printed.
    pub secret: bool,
}

settings! {
    /// IP address that the HTTP server listens on.
    host: IpAddr,
    /// Port that the HTTP server listens on; 0 takes a free one.
    port: u16,
    /// Port of a listener for probes alone; unset: none.
    probe_port: Option<u16>,
    /// Further hosts for which requests may be, and whose web pages may make them.
    allowed_hosts: AllowedHosts,
    /// Directory of `bos.db` and `companions.db`.
    data_dir: PathBuf,
    /// PostgreSQL; unset: SQLite in `data_dir`.
    database_url: Option<DatabaseUrl>,
    /// Connections to PostgreSQL that one process may open.
    database_max_connections: NonZeroU32,
    /// Kafka brokers to ask first; unset: the embedded log.
    kafka_bootstrap_servers: Option<Brokers>,
    /// Encryption and authentication of connections to Kafka.
    kafka_security_protocol: KafkaSecurity,
    /// SASL mechanism with which this process authenticates to Kafka.
    kafka_sasl_mechanism: SaslMechanism,
    /// SASL user name.
    kafka_sasl_username: Option<String>,
    /// SASL password.
    kafka_sasl_password: Option<Secret>,
    /// PEM file of the certificate authorities that may sign the brokers' certificates; unset: those of the system.
    kafka_ssl_ca_location: Option<PathBuf>,
    /// Time in which Kafka must acknowledge a message; shorter than the lease.
    kafka_message_timeout: Duration,
    /// Silence after which Kafka gives a process's partitions to other processes.
    kafka_session_timeout: Duration,
    /// The Content Service; unset: the embedded one.
    content_service_url: Option<ContentServiceUrl>,
    /// Time-out of connecting to the Content Service.
    content_connect_timeout: Duration,
    /// Time-out of one call to the Content Service, from the first byte sent to the last byte read.
    content_timeout: Duration,
    /// The Essay Lifecycle Service, which is asked about silent phases; unset: it is not asked, or the embedded one is.
    els_url: Option<ElsUrl>,
    /// Time-out of one question to the Essay Lifecycle Service, with connecting.
    els_timeout: Duration,
    /// Companions that run in the process on the embedded bus.
    companions: Companions,
    /// Directory of Hunspell dictionaries, searched before those of the system.
    hunspell_dir: Option<PathBuf>,
    /// Lowest level that is logged.
    log_level: LogLevel,
    /// Form of a log line.
    log_format: LogFormat,
    /// OTLP collector that receives traces; unset: no traces.
    otel_exporter_otlp_endpoint: Option<CollectorUrl>,
    /// Headers of requests to the collector.
    otel_exporter_otlp_headers: Option<CollectorHeaders>,
    /// Name of this service in traces.
    otel_service_name: String,
    /// Sampler that decides which traces are kept.
    otel_traces_sampler: TracesSampler,
    /// Ratio of traces that a sampler by ratio keeps, from 0 to 1.
    otel_traces_sampler_arg: Part,
    /// Whether risky settings cause a warning or prevent the start.
    environment: Environment,
    /// How callers authenticate.
    auth: Auth,
    /// Token with which a gateway authenticates, for `auth = "gateway"`.
    gateway_token: Option<Secret>,
    /// In production, allow a host other than loopback without authentication.
    allow_open_bind: bool,
    /// In production, allow SQLite.
    allow_embedded_database: bool,
    /// In production, allow the embedded log and companions in place of Kafka.
    allow_embedded_bus: bool,
    /// In production, allow the embedded Content Service.
    allow_embedded_content: bool,
    /// In production, allow unencrypted connections to Kafka on other machines.
    allow_plaintext_kafka: bool,
    /// Allow a Content Service at a link-local address.
    allow_link_local_content: bool,
    /// Language of a single essay whose request states none.
    default_language: Language,
    /// Course code that the Essay Lifecycle Service gets for an English batch that states none.
    default_course_en: String,
    /// Course code that the Essay Lifecycle Service gets for a Swedish batch that states none.
    default_course_sv: String,
    /// Whether this service registers batches with the Essay Lifecycle Service; false if another service does.
    els_registration: bool,
    /// Whether the Essay Lifecycle Service can process failed essays again.
    els_retries: bool,
    /// How a single essay reaches the spell checker.
    single_essay_road: SingleEssayRoad,
    /// Whether the class designation and the essay instructions are sent in events.
    events_include_class_context: bool,
    /// Version of the nlp command that is sent, 1 or 2.
    nlp_command_version: u16,
    /// HTTP connections open at the same time; further ones wait to be accepted.
    max_connections: NonZeroU32,
    /// HTTP connections of one peer at the same time; unset: half of `max_connections`.
    max_connections_per_peer: Option<NonZeroU32>,
    /// Requests of one caller in progress at the same time; more: 429.
    max_requests_per_caller: NonZeroU32,
    /// Time in which a request's header must arrive, and after which an idle connection is closed.
    header_timeout: Duration,
    /// Bytes of a request's line and header fields; more: 431.
    max_header_size: ByteSize,
    /// Header fields of a request; more: 431.
    max_header_fields: NonZeroU32,
    /// Longest pause within a request's body; longer: 408.
    body_chunk_timeout: Duration,
    /// Average bytes per second that a body must reach; fewer: 408.
    body_min_rate: ByteSize,
    /// Longest time for a whole body; longer: 408.
    body_timeout: Duration,
    /// Time that a client may be late with reading its answers; after that its connection is closed.
    write_timeout: Duration,
    /// Bytes per second that a client must read while it is late.
    write_min_rate: ByteSize,
    /// Bytes of one request's body; more: 413.
    max_body_size: ByteSize,
    /// Bytes of all bodies in memory at the same time; more: 429.
    max_bodies_in_flight: ByteSize,
    /// At a stop, time in which requests and background tasks may finish.
    drain_timeout: Duration,
    /// Essays in a batch.
    max_essays: NonZeroU32,
    /// Bytes of an essay's text.
    max_text_size: ByteSize,
    /// Bytes of texts that wait for the Content Service; more: new essays get 503.
    max_staged_size: ByteSize,
    /// Messages that wait for Kafka; more: new essays get 503.
    max_outbox_rows: NonZeroU32,
    /// Percentage of these two limits below which new essays are accepted again after a 503.
    backlog_resume_percent: u16,
    /// Labels of a batch.
    max_labels: u32,
    /// Characters of a label's key.
    max_label_key: NonZeroU32,
    /// Characters of a label's value.
    max_label_value: NonZeroU32,
    /// Time without a result after which a phase needs attention; also for the confirmation of a registration.
    start_timeout: Duration,
    /// Time after which the essays that a phase has not finished fail.
    phase_timeout: Duration,
    /// `phase_timeout` of spellcheck; unset: `phase_timeout`.
    phase_timeout_spellcheck: Option<Duration>,
    /// `phase_timeout` of nlp; unset: `phase_timeout`.
    phase_timeout_nlp: Option<Duration>,
    /// `phase_timeout` of `ai_feedback`; unset: `phase_timeout`.
    phase_timeout_ai_feedback: Option<Duration>,
    /// `phase_timeout` of `cj_assessment`; unset: `phase_timeout`.
    phase_timeout_cj_assessment: Option<Duration>,
    /// Time to wait for the outcome of a phase after the result of its last essay, before the lifecycle service is asked.
    outcome_grace: Duration,
    /// Silence after which the command or the requests of a phase are sent again.
    command_resend_after: Duration,
    /// How often the command or the requests of a phase are sent again at most.
    command_resends: u32,
    /// Retries of a call to the Content Service before the batch needs attention; retries continue after that.
    retry_limit: u32,
    /// Bound of the first pause between retries; it doubles.
    retry_first_delay: Duration,
    /// Bound of the longest pause between retries.
    retry_max_delay: Duration,
    /// Calls to the Content Service at the same time.
    ingest_concurrency: NonZeroU32,
    /// Duration of a lease on a shard.
    lease_ttl: Duration,
    /// Period at which leases are renewed.
    lease_renewal: Duration,
    /// Period at which the relay and ingest read their tables without a signal.
    relay_period: Duration,
    /// Period at which due timers are read.
    timer_period: Duration,
    /// Period of keep-alive lines on an event stream. No endpoint streams events yet.
    sse_keep_alive: Duration,
    /// Longest `?wait=` of a status request.
    status_wait_limit: Duration,
    /// How long answers are kept for a client that retries with the same Idempotency-Key.
    idempotency_retention: Duration,
    /// How long batches are kept after they ended.
    ended_batch_retention: Duration,
    /// How long sent messages and records of the embedded log are kept.
    sent_event_retention: Duration,
    /// How long ids of consumed messages are kept, to detect duplicates.
    inbox_retention: Duration,
}

/// A configuration, with the origin of its values and what was found while loading it.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Every setting as it was written, in the order of [`DEFAULTS`].
    pub shown: Vec<RedactedSetting>,
    /// Variables that Kubernetes injects for a Service with the name of this one. They are ignored.
    pub ignored: Vec<String>,
    /// Risks that do not prevent the start.
    pub warnings: Vec<Fault>,
}

/// A setting as it is printed, with secrets redacted.
#[derive(Debug, Clone)]
pub struct RedactedSetting {
    /// The key.
    pub key: &'static str,
    /// The value as written; `None` if the setting is unset.
    pub value: Option<String>,
    /// Where the value was written; `None` if the setting is unset.
    pub origin: Option<Origin>,
}

impl Config {
    /// Reads all layers, parses every value and checks the settings against each other.
    ///
    /// # Errors
    /// All faults of the configuration together.
    pub fn load(sources: &Sources) -> Result<Loaded, Error> {
        Self::load_with(sources, checks::check)
    }

    /// Loads the configuration of a maintenance command, without the checks that matter only to `bos serve`.
    ///
    /// # Errors
    /// All faults of the configuration together.
    pub fn load_for_maintenance(sources: &Sources) -> Result<Loaded, Error> {
        Self::load_with(sources, checks::check_for_maintenance)
    }

    /// The secrets of this configuration that can be read again, with the names of their settings.
    pub fn secrets(&self) -> Vec<(&'static str, Secret)> {
        let database_url = self.database_url.as_ref().map(|url| &url.0);
        let all = [
            ("database_url", database_url),
            ("kafka_sasl_password", self.kafka_sasl_password.as_ref()),
            ("gateway_token", self.gateway_token.as_ref()),
        ];
        all.into_iter().filter_map(|(name, secret)| Some((name, secret?.clone()))).collect()
    }

    /// Reads every secret that comes from a file again, and logs what became of each.
    pub fn read_secrets_again(&self) {
        for (setting, secret) in self.secrets() {
            match secret.read_again() {
                Ok(true) => {
                    tracing::info!(
                        setting,
                        "the file of a secret has a new value, which is used from now on"
                    );
                }
                Ok(false) => tracing::debug!(setting, "a secret has not changed"),
                Err(problem) => {
                    tracing::error!(
                        setting,
                        problem,
                        "the file of a secret cannot be used; its last value stays"
                    );
                }
            }
        }
    }

    fn load_with(
        sources: &Sources,
        check: fn(&Self, &[RedactedSetting]) -> checks::Findings,
    ) -> Result<Loaded, Error> {
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
