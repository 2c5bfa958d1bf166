//! Settings that are fine alone and wrong together.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::error::Fault;
use super::layers::{PREFIX, subject};
use super::words::{Auth, Environment};
use super::{Config, Shown};

/// Most essays that a batch may ever hold: one command must list them all within a broker's message size.
pub const ESSAYS_CEILING: u32 = 3_000;

/// Characters of the shortest token that a gateway may prove itself with.
const GATEWAY_TOKEN_LENGTH: usize = 32;

/// Whether a token is long enough, and of characters that arrive as they were sent.
fn can_prove(token: &str) -> bool {
    token.len() >= GATEWAY_TOKEN_LENGTH && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What the checks found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What refuses the start.
    pub faults: Vec<Fault>,
    /// What is said and then allowed.
    pub warnings: Vec<Fault>,
}

/// Checks the settings against each other, as far as the service depends on it.
pub fn check(config: &Config, shown: &[Shown]) -> Findings {
    let mut checks = Checks { config, shown, findings: Findings::default() };
    checks.pairs();
    checks.neighbours();
    checks.numbers();
    checks.exposure();
    checks.production();
    checks.findings
}

/// Checks what a command depends on that looks after one part of an installation and serves nobody.
pub fn check_for_upkeep(config: &Config, shown: &[Shown]) -> Findings {
    let mut checks = Checks { config, shown, findings: Findings::default() };
    checks.neighbours();
    checks.numbers();
    checks.findings
}

impl Config {
    /// What was chosen and is not in this build.
    pub fn not_in_this_build(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.kafka_bootstrap_servers.is_some() && !cfg!(feature = "kafka") {
            let next_step = "take a build with the feature kafka, or leave it out and use the embedded log";
            faults.push(Fault::new(
                "kafka_bootstrap_servers",
                "is set, but Kafka is not in this build",
                next_step,
            ));
        }
        if self.otel_exporter_otlp_endpoint.is_some() && !cfg!(feature = "otlp") {
            let next_step = "take a build with the feature otlp, or leave it out";
            faults.push(Fault::new(
                "otel_exporter_otlp_endpoint",
                "is set, but the export of traces is not in this build",
                next_step,
            ));
        }
        faults
    }
}

struct Checks<'a> {
    config: &'a Config,
    shown: &'a [Shown],
    findings: Findings,
}

impl Checks<'_> {
    /// Neighbours that go together.
    fn pairs(&mut self) {
        let config = self.config;
        if config.database_url.is_some() && config.kafka_bootstrap_servers.is_none() {
            self.refuse(
                "database_url",
                "chooses PostgreSQL, which needs Kafka: the embedded log lives in SQLite",
                format!("set {PREFIX}KAFKA_BOOTSTRAP_SERVERS, or leave the database embedded"),
            );
        }
        if config.database_url.is_some() && config.content_service_url.is_none() {
            self.warn(
                "database_url",
                "chooses PostgreSQL, which several processes share, while the embedded Content Service is one process's own",
                format!("set {PREFIX}CONTENT_SERVICE_URL, or run one process only"),
            );
        }
    }

    fn neighbours(&mut self) {
        let config = self.config;
        if config.content_service_url.as_ref().is_some_and(super::setting::ContentServiceUrl::is_link_local)
            && !config.allow_link_local_content
        {
            self.refuse(
                "content_service_url",
                "names a link-local address, where clouds keep their machines' secrets",
                format!("name another host, or set {PREFIX}ALLOW_LINK_LOCAL_CONTENT=true"),
            );
        }
        if config.kafka_bootstrap_servers.is_some() && config.kafka_security_protocol.has_a_name() {
            for (key, is_set) in [
                ("kafka_sasl_username", config.kafka_sasl_username.is_some()),
                ("kafka_sasl_password", config.kafka_sasl_password.is_some()),
            ] {
                if !is_set {
                    let next_step = format!("set {PREFIX}{}", key.to_ascii_uppercase());
                    self.refuse(key, "is unset, and Kafka is to be told who we are", next_step);
                }
            }
        }
        if config.auth == Auth::Gateway && config.gateway_token.is_none() {
            self.refuse("auth", "is gateway, which needs a token", format!("set {PREFIX}GATEWAY_TOKEN_FILE"));
        }
        let token = config.gateway_token.as_ref().filter(|_| config.auth == Auth::Gateway);
        if token.is_some_and(|token| !can_prove(token.expose_secret())) {
            self.refuse(
                "gateway_token",
                "can be guessed, or cannot stand in a header",
                format!("give it {GATEWAY_TOKEN_LENGTH} random letters and digits, or more"),
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
            self.refuse("max_text_size", "is larger than max_body_size", "let a body hold at least one text");
        }
        if config.max_body_size > config.max_bodies_in_flight {
            self.refuse("max_body_size", "is larger than max_bodies_in_flight", "let at least one body in");
        }
        // A message may be acknowledged as late as its time-out; by then the next owner must not have the lease.
        let last_ack = config.kafka_message_timeout.saturating_add(config.lease_renewal);
        if last_ack.saturating_add(Duration::from_secs(1)) > config.lease_ttl {
            let next_step = "keep kafka_message_timeout + lease_renewal at least 1s below it";
            self.refuse("lease_ttl", "is too short for its renewal and the messages under it", next_step);
        }
        if config.retry_first_delay > config.retry_max_delay {
            self.refuse(
                "retry_first_delay",
                "is longer than retry_max_delay",
                "begin with the shorter pause",
            );
        }
    }

    /// A port that others can reach and that asks nobody who they are.
    fn exposure(&mut self) {
        let config = self.config;
        if config.host.is_loopback() || config.auth != Auth::Off {
            return;
        }
        let problem = "listens beyond this machine without authentication";
        let next_step = format!("listen on 127.0.0.1, or set {PREFIX}ALLOW_OPEN_BIND=true");
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
                    "is unset, and production does not take the embedded part silently",
                    format!("set {PREFIX}{}, or {PREFIX}{name}=true", key.to_ascii_uppercase()),
                );
            }
        }
        let open =
            bus.is_some_and(|bus| !bus.are_loopback()) && config.kafka_security_protocol.is_plaintext();
        if open && !config.allow_plaintext_kafka {
            self.refuse(
                "kafka_security_protocol",
                "leaves Kafka beyond this machine unencrypted",
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

    /// Names the setting by the place where it was written.
    fn subject(&self, key: &str) -> String {
        let origin = self.shown.iter().find(|shown| shown.key == key).and_then(|shown| shown.origin.as_ref());
        origin.map_or_else(|| key.to_owned(), |origin| subject(key, origin))
    }
}
