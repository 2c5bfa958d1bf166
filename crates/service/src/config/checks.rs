//! Checks across settings: values that are valid alone and wrong together.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::error::Fault;
use super::layers::{PREFIX, subject};
use super::words::{Auth, Environment};
use super::{Config, RedactedSetting};

/// The highest `max_essays`: one command must list all essays of a batch within a broker's message size (1 MB by default).
pub const ESSAYS_CEILING: u32 = 3_000;

/// The most `command_resends`; chosen: each adds a command for the same essays to the bus.
const MOST_RESENDS: u32 = 10;

/// The fewest characters of a gateway's token; chosen, so that it cannot be guessed.
const GATEWAY_TOKEN_LENGTH: usize = 32;

/// Whether a token is long enough, and only of characters that a header carries unchanged.
fn is_strong_token(token: &str) -> bool {
    token.len() >= GATEWAY_TOKEN_LENGTH && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The result of the checks.
#[derive(Debug, Default)]
pub struct Findings {
    /// Faults that prevent the start.
    pub faults: Vec<Fault>,
    /// Risks that are logged and do not prevent the start.
    pub warnings: Vec<Fault>,
}

/// All checks that `bos serve` needs. `shown` gives the origin of each setting, for the messages.
pub fn check(config: &Config, shown: &[RedactedSetting]) -> Findings {
    let mut checks = Checks { config, shown, findings: Findings::default() };
    checks.pairs();
    checks.dependencies();
    checks.numbers();
    checks.listeners();
    checks.exposure();
    checks.production();
    checks.findings
}

/// The checks that a maintenance command needs: the dependencies and the numbers, not access and production.
pub fn check_for_maintenance(config: &Config, shown: &[RedactedSetting]) -> Findings {
    let mut checks = Checks { config, shown, findings: Findings::default() };
    checks.dependencies();
    checks.numbers();
    checks.findings
}

impl Config {
    /// Settings that need a feature which this build does not have.
    pub fn unsupported_settings(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.kafka_bootstrap_servers.is_some() && !cfg!(feature = "kafka") {
            let next_step = "use a build with the feature kafka, or remove it to use the embedded log";
            faults.push(Fault::new(
                "kafka_bootstrap_servers",
                "is set, but this build does not contain Kafka",
                next_step,
            ));
        }
        if self.otel_exporter_otlp_endpoint.is_some() && !cfg!(feature = "otlp") {
            let next_step = "use a build with the feature otlp, or remove it";
            faults.push(Fault::new(
                "otel_exporter_otlp_endpoint",
                "is set, but this build cannot export traces",
                next_step,
            ));
        }
        faults
    }
}

struct Checks<'a> {
    config: &'a Config,
    shown: &'a [RedactedSetting],
    findings: Findings,
}

impl Checks<'_> {
    /// Dependencies that must be configured together.
    fn pairs(&mut self) {
        let config = self.config;
        if config.database_url.is_some() && config.kafka_bootstrap_servers.is_none() {
            self.refuse(
                "database_url",
                "chooses PostgreSQL, which needs Kafka: the embedded log is a table in SQLite",
                format!("set {PREFIX}KAFKA_BOOTSTRAP_SERVERS, or remove database_url to use SQLite"),
            );
        }
        if config.database_url.is_some() && config.content_service_url.is_none() {
            self.warn(
                "database_url",
                "chooses PostgreSQL, which several processes can share, but each process has its own embedded Content Service",
                format!("set {PREFIX}CONTENT_SERVICE_URL, or run only one process"),
            );
        }
    }

    /// The settings of each dependency.
    fn dependencies(&mut self) {
        let config = self.config;
        if config.content_service_url.as_ref().is_some_and(super::setting::ContentServiceUrl::is_link_local)
            && !config.allow_link_local_content
        {
            self.refuse(
                "content_service_url",
                "is a link-local address, where clouds serve the credentials of the machine",
                format!("use another host, or set {PREFIX}ALLOW_LINK_LOCAL_CONTENT=true"),
            );
        }
        if config.els_url.as_ref().is_some_and(super::setting::ElsUrl::is_link_local)
            && !config.allow_link_local_content
        {
            self.refuse(
                "els_url",
                "is a link-local address, where clouds serve the credentials of the machine",
                format!("use another host, or set {PREFIX}ALLOW_LINK_LOCAL_CONTENT=true"),
            );
        }
        if config.kafka_bootstrap_servers.is_some() && config.kafka_security_protocol.uses_sasl() {
            for (key, is_set) in [
                ("kafka_sasl_username", config.kafka_sasl_username.is_some()),
                ("kafka_sasl_password", config.kafka_sasl_password.is_some()),
            ] {
                if !is_set {
                    let next_step = format!("set {PREFIX}{}", key.to_ascii_uppercase());
                    self.refuse(key, "is unset, but kafka_security_protocol requires it", next_step);
                }
            }
        }
        if config.auth == Auth::Gateway && config.gateway_token.is_none() {
            self.refuse(
                "auth",
                "is gateway, but gateway_token is unset",
                format!("set {PREFIX}GATEWAY_TOKEN_FILE"),
            );
        }
        let token = config.gateway_token.as_ref().filter(|_| config.auth == Auth::Gateway);
        if token.is_some_and(|token| !is_strong_token(token.get().expose_secret())) {
            self.refuse(
                "gateway_token",
                "is too short, or has characters that a header cannot carry",
                format!("use at least {GATEWAY_TOKEN_LENGTH} random letters and digits"),
            );
        }
    }

    fn numbers(&mut self) {
        let config = self.config;
        if config.max_essays.get() > ESSAYS_CEILING {
            self.refuse("max_essays", "is out of range", format!("choose 1 to {ESSAYS_CEILING}"));
        }
        if !(1..=100).contains(&config.backlog_resume_percent) {
            self.refuse("backlog_resume_percent", "is out of range", "choose 1 to 100");
        }
        if !(1..=2).contains(&config.nlp_command_version) {
            self.refuse("nlp_command_version", "is out of range", "choose 1 or 2");
        }
        if config.max_text_size > config.max_body_size {
            self.refuse(
                "max_text_size",
                "is larger than max_body_size",
                "raise max_body_size or lower max_text_size, so that a body can hold one text",
            );
        }
        if config.max_body_size > config.max_bodies_in_flight {
            self.refuse(
                "max_body_size",
                "is larger than max_bodies_in_flight",
                "raise max_bodies_in_flight or lower max_body_size, so that one body can be read",
            );
        }
        // Kafka may acknowledge a message just before its time-out. Until then no other process may own the shard.
        let last_ack = config.kafka_message_timeout.saturating_add(config.lease_renewal);
        if last_ack.saturating_add(Duration::from_secs(1)) > config.lease_ttl {
            let next_step = "make it at least kafka_message_timeout + lease_renewal + 1s";
            self.refuse("lease_ttl", "is too short for lease_renewal and kafka_message_timeout", next_step);
        }
        if config.command_resends > MOST_RESENDS {
            let next_step = format!("choose 0 to {MOST_RESENDS}");
            self.refuse("command_resends", "is out of range", next_step);
        }
        if config.retry_first_delay > config.retry_max_delay {
            self.refuse(
                "retry_first_delay",
                "is longer than retry_max_delay",
                "make it at most retry_max_delay",
            );
        }
    }

    /// Two listeners at one address.
    fn listeners(&mut self) {
        let config = self.config;
        if config.probe_port == Some(config.port) && config.port != 0 {
            self.refuse("probe_port", "is the same as port", "choose another port, or 0 for any free one");
        }
    }

    /// A port that other machines can reach without authentication.
    fn exposure(&mut self) {
        let config = self.config;
        if config.host.is_loopback() || config.auth != Auth::Off {
            return;
        }
        let problem = "lets other machines connect without authentication";
        let next_step =
            format!("set {PREFIX}AUTH=token, listen on 127.0.0.1, or set {PREFIX}ALLOW_OPEN_BIND=true");
        match config.environment {
            Environment::Production if !config.allow_open_bind => self.refuse("host", problem, next_step),
            Environment::Production | Environment::Development => self.warn("host", problem, next_step),
        }
    }

    fn production(&mut self) {
        let config = self.config;
        if config.environment != Environment::Production {
            return;
        }
        let bus = config.kafka_bootstrap_servers.as_ref();
        let embedded = [
            (
                "database_url",
                config.database_url.is_none(),
                config.allow_embedded_database,
                "ALLOW_EMBEDDED_DATABASE",
            ),
            ("kafka_bootstrap_servers", bus.is_none(), config.allow_embedded_bus, "ALLOW_EMBEDDED_BUS"),
            (
                "content_service_url",
                config.content_service_url.is_none(),
                config.allow_embedded_content,
                "ALLOW_EMBEDDED_CONTENT",
            ),
        ];
        for (key, embedded, allowed, name) in embedded {
            if embedded && !allowed {
                self.refuse(
                    key,
                    "is unset, and production does not use the embedded default unless it is allowed",
                    format!("set {PREFIX}{}, or {PREFIX}{name}=true", key.to_ascii_uppercase()),
                );
            }
        }
        let open =
            bus.is_some_and(|bus| !bus.are_loopback()) && config.kafka_security_protocol.is_plaintext();
        if open && !config.allow_plaintext_kafka {
            self.refuse(
                "kafka_security_protocol",
                "leaves connections to Kafka on other machines unencrypted",
                format!("choose sasl_ssl, or set {PREFIX}ALLOW_PLAINTEXT_KAFKA=true"),
            );
        }
    }

    fn refuse(&mut self, key: &str, problem: &str, next_step: impl Into<String>) {
        let fault = Fault::new(self.subject(key), problem, next_step);
        self.findings.faults.push(fault);
    }

    fn warn(&mut self, key: &str, problem: &str, next_step: impl Into<String>) {
        let fault = Fault::new(self.subject(key), problem, next_step);
        self.findings.warnings.push(fault);
    }

    /// The origin of the setting, as the subject of a message; its key if it has none.
    fn subject(&self, key: &str) -> String {
        let origin = self.shown.iter().find(|shown| shown.key == key).and_then(|shown| shown.origin.as_ref());
        origin.map_or_else(|| key.to_owned(), |origin| subject(key, origin))
    }
}
