//! Turns the configuration into the settings of the other crates, which do not know [`Config`].

use std::num::NonZeroU32;
use std::time::Duration;

use api::body::BodyLimits;
use api::serve::Limits;
use api::{ApiSettings, Auth, Origins};
#[cfg(feature = "kafka")]
use kafka::settings::{KafkaSettings, Sasl, SettingNames, Tls};
#[cfg(feature = "kafka")]
use secret::Secret;
use telemetry::sampling::Sampling;
#[cfg(feature = "otlp")]
use telemetry::traces::Collector;

use crate::config::Config;
use crate::config::words::{Companion, Language};
use crate::files;

/// Most connections of the listener for probes; chosen, for a few monitors that keep some each.
const PROBE_CONNECTIONS: u32 = 32;
/// How long a probe in progress may take to finish when everything else has ended.
const PROBE_DRAIN: Duration = Duration::from_secs(1);

/// The settings of the HTTP API.
pub fn api_settings(config: &Config) -> ApiSettings {
    ApiSettings {
        auth: config.auth,
        gateway_token: config.gateway_token.clone(),
        origins: origins(config, config.auth == Auth::Off),
        max_requests_per_caller: config.max_requests_per_caller,
        bodies: body_limits(config),
        max_essays: config.max_essays,
        max_text_size: config.max_text_size,
        max_labels: config.max_labels,
        max_label_key: config.max_label_key,
        max_label_value: config.max_label_value,
        max_staged_size: config.max_staged_size,
        max_outbox_rows: config.max_outbox_rows,
        status_wait_limit: config.status_wait_limit,
        idempotency_retention: config.idempotency_retention,
        sampling: Sampling::new(config.otel_traces_sampler, config.otel_traces_sampler_arg.0),
    }
}

/// The limits of request bodies.
pub fn body_limits(config: &Config) -> BodyLimits {
    BodyLimits {
        max_size: config.max_body_size,
        max_in_flight: config.max_bodies_in_flight,
        chunk_timeout: config.body_chunk_timeout,
        min_rate: config.body_min_rate,
        total_timeout: config.body_timeout,
    }
}

/// The hosts and web pages that requests may name; `is_open` if callers are not authenticated.
pub fn origins(config: &Config, is_open: bool) -> Origins {
    Origins::new(config.host, is_open, config.allowed_hosts.as_slice())
}

/// The settings of the accept loop, with the connections that the file limit allows ([`files::max_connections`]).
pub fn accept_limits(config: &Config) -> Limits {
    let max_connections = files::max_connections(config.max_connections);
    Limits {
        max_connections,
        max_connections_per_peer: config.max_connections_per_peer.unwrap_or_else(|| half(max_connections)),
        header_timeout: config.header_timeout,
        max_header_size: config.max_header_size,
        max_header_fields: config.max_header_fields,
        write_timeout: config.write_timeout,
        write_min_rate: config.write_min_rate,
        drain_timeout: config.drain_timeout,
    }
}

/// The settings of the accept loop for probes, beside those of the API: few connections, which no client of the API can take.
pub fn probe_limits(api: Limits) -> Limits {
    let max_connections = files::bearable_beside(at_least_one(PROBE_CONNECTIONS));
    Limits {
        max_connections,
        max_connections_per_peer: half(max_connections),
        drain_timeout: PROBE_DRAIN,
        ..api
    }
}

fn half(count: NonZeroU32) -> NonZeroU32 {
    at_least_one(count.get() / 2)
}

fn at_least_one(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

/// The settings of the Kafka client; none if Kafka is not configured.
#[cfg(feature = "kafka")]
pub fn kafka_settings(config: &Config) -> Option<KafkaSettings> {
    let security = config.kafka_security_protocol;
    Some(KafkaSettings {
        bootstrap_servers: config.kafka_bootstrap_servers.as_ref()?.joined(),
        tls: (!security.is_plaintext()).then(|| Tls { ca_location: config.kafka_ssl_ca_location.clone() }),
        sasl: security.uses_sasl().then(|| Sasl {
            mechanism: config.kafka_sasl_mechanism.to_librdkafka().to_owned(),
            username: config.kafka_sasl_username.clone().unwrap_or_default(),
            password: config.kafka_sasl_password.clone().unwrap_or_else(|| Secret::from("")),
        }),
        message_timeout: config.kafka_message_timeout,
        session_timeout: config.kafka_session_timeout,
        names: SettingNames {
            bootstrap_servers: "KAFKA_BOOTSTRAP_SERVERS",
            username: "BATCH_ORCHESTRATOR_SERVICE_KAFKA_SASL_USERNAME",
            password: "BATCH_ORCHESTRATOR_SERVICE_KAFKA_SASL_PASSWORD",
            mechanism: "BATCH_ORCHESTRATOR_SERVICE_KAFKA_SASL_MECHANISM",
            ca_location: "BATCH_ORCHESTRATOR_SERVICE_KAFKA_SSL_CA_LOCATION",
        },
    })
}

/// The collector of traces; none if none is configured.
#[cfg(feature = "otlp")]
pub fn collector(config: &Config) -> Option<Collector> {
    let endpoint = config.otel_exporter_otlp_endpoint.as_ref()?;
    let headers = config.otel_exporter_otlp_headers.iter();
    Some(Collector {
        endpoint: endpoint.traces_url(),
        headers: headers.flat_map(crate::config::traces::CollectorHeaders::headers).collect(),
        service_name: config.otel_service_name.clone(),
    })
}

/// The settings of the engine and of the rules.
pub fn engine_settings(config: &Config) -> engine::Settings {
    let rules = domain::Settings {
        start_timeout: domain::PerPhase::all(config.start_timeout),
        phase_timeout: domain::PerPhase {
            spellcheck: config.phase_timeout_spellcheck.unwrap_or(config.phase_timeout),
            nlp: config.phase_timeout_nlp.unwrap_or(config.phase_timeout),
            ai_feedback: config.phase_timeout_ai_feedback.unwrap_or(config.phase_timeout),
            cj_assessment: config.phase_timeout_cj_assessment.unwrap_or(config.phase_timeout),
        },
        registration_timeout: config.start_timeout,
        outcome_grace: config.outcome_grace,
        command_resend_after: config.command_resend_after,
        command_resends: config.command_resends,
        asks_lifecycle: asks_lifecycle(config),
        single_essay_road: config.single_essay_road,
        served: served(config),
        registration: config.els_registration,
        els_retries: els_retries(config),
    };
    engine::Settings {
        default_language: match config.default_language {
            Language::En => domain::Language::En,
            Language::Sv => domain::Language::Sv,
        },
        default_course_en: config.default_course_en.clone(),
        default_course_sv: config.default_course_sv.clone(),
        events_include_class_context: config.events_include_class_context,
        nlp_command_version: u8::try_from(config.nlp_command_version).unwrap_or(2),
        relay_period: config.relay_period,
        timer_period: config.timer_period,
        retry_limit: config.retry_limit,
        retry_first: config.retry_first_delay,
        retry_longest: config.retry_max_delay,
        staged_bytes_cap: config.max_staged_size.as_u64(),
        outbox_rows_cap: u64::from(config.max_outbox_rows.get()),
        backlog_resume_percent: config.backlog_resume_percent,
        message_timeout: config.kafka_message_timeout,
        lease: config.lease_ttl,
        lease_renewal: config.lease_renewal,
        keep_batches: config.ended_batch_retention,
        keep_sent: config.sent_event_retention,
        keep_inbox: config.inbox_retention,
        keep_answers: config.idempotency_retention,
        ..engine::Settings::with_rules(rules)
    }
}

/// Whether the lifecycle service can process a failed essay again. The embedded one can.
pub fn els_retries(config: &Config) -> bool {
    config.els_retries || config.kafka_bootstrap_servers.is_none()
}

/// Whether the lifecycle service can be asked: over HTTP, or because it runs in the process.
pub fn asks_lifecycle(config: &Config) -> bool {
    config.els_url.is_some() || embeds_lifecycle(config)
}

/// Whether the lifecycle service that is commanded runs in the process.
pub fn embeds_lifecycle(config: &Config) -> bool {
    config.kafka_bootstrap_servers.is_none()
        && config.companions.iter().any(|companion| companion == Companion::Lifecycle)
}

/// The phases that a service processes: with Kafka all, because the services are unknown; on the embedded bus those of the
/// configured companions.
fn served(config: &Config) -> domain::PhaseSet {
    if config.kafka_bootstrap_servers.is_some() {
        return domain::Phase::ALL.iter().copied().collect();
    }
    config
        .companions
        .iter()
        .filter_map(|companion| match companion {
            Companion::Spellcheck => Some(domain::Phase::Spellcheck),
            Companion::Nlp => Some(domain::Phase::Nlp),
            Companion::Content | Companion::Lifecycle => None,
        })
        .collect()
}
