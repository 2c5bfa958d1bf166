//! What librdkafka is told. Its defaults lose and reorder messages: each line that differs says why.

use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use secrecy::ExposeSecret as _;
use secret::Secret;

/// How to reach a Kafka cluster.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// The first brokers to ask, as `host:port,host:port`.
    pub bootstrap_servers: String,
    /// Encryption of the connections; none sends everything in the clear.
    pub tls: Option<Tls>,
    /// How this process authenticates; none where the cluster asks for no name.
    pub sasl: Option<Sasl>,
    /// How long a message may wait for its acknowledgement.
    pub message_timeout: Duration,
    /// How long the consumer group waits for a silent member before it reassigns its partitions.
    pub session_timeout: Duration,
    /// What the user of this process calls these settings, for messages that say which one to correct.
    pub names: SettingNames,
}

/// Encrypted connections, with the certificate and the host name verified.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// A PEM file of certificate authorities; none means those of the system.
    pub ca_location: Option<PathBuf>,
}

/// A user name and a password.
#[derive(Debug, Clone)]
pub struct Sasl {
    /// librdkafka's `sasl.mechanism`: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: String,
    /// The user name.
    pub username: String,
    /// The password. Clients that are made after it changed use the new one.
    pub password: Secret,
}

/// The names under which a user of this process sets what is in [`KafkaSettings`], such as environment variables.
///
/// This crate reads no configuration, but its messages say which setting to correct.
#[derive(Debug, Clone, Copy)]
pub struct SettingNames {
    /// Of [`KafkaSettings::bootstrap_servers`].
    pub bootstrap_servers: &'static str,
    /// Of [`Sasl::username`].
    pub username: &'static str,
    /// Of [`Sasl::password`].
    pub password: &'static str,
    /// Of [`Sasl::mechanism`].
    pub mechanism: &'static str,
    /// Of [`Tls::ca_location`].
    pub ca_location: &'static str,
}

impl SettingNames {
    /// librdkafka's own names, for programs that have no others.
    pub const LIBRDKAFKA: Self = Self {
        bootstrap_servers: "bootstrap.servers",
        username: "sasl.username",
        password: "sasl.password",
        mechanism: "sasl.mechanism",
        ca_location: "ssl.ca.location",
    };
}

impl KafkaSettings {
    /// A cluster that is reached in the clear, with time-outs of 8 s for a message and 10 s for a member of the group.
    pub fn plaintext(bootstrap_servers: impl Into<String>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into(),
            tls: None,
            sasl: None,
            message_timeout: Duration::from_secs(8),
            session_timeout: Duration::from_secs(10),
            names: SettingNames::LIBRDKAFKA,
        }
    }

    /// The number of changes of the password so far. A client that was made before the last change has to be replaced.
    pub fn password_version(&self) -> u64 {
        self.sasl.as_ref().map_or(0, |sasl| sasl.password.version())
    }

    /// librdkafka's `security.protocol`.
    const fn protocol(&self) -> &'static str {
        match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        }
    }

    /// The properties of every client: addresses, security, time-outs.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", "bos")
            .set("security.protocol", self.protocol())
            // Below the time-out of a message, so that a hanging connection is noticed while the message can still be sent.
            .set("socket.timeout.ms", (self.message_timeout * 3 / 4).as_millis().to_string())
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "2000")
            // With the default of 5 min a topic created later would go unread for that long.
            .set("topic.metadata.refresh.interval.ms", "5000")
            .set("statistics.interval.ms", "5000");
        if let Some(sasl) = &self.sasl {
            client.set("sasl.mechanism", &sasl.mechanism);
            client.set("sasl.username", &sasl.username);
            client.set("sasl.password", sasl.password.get().expose_secret());
        }
        if let Some(tls) = &self.tls {
            // The defaults, stated because they keep out a server in the middle.
            client.set("enable.ssl.certificate.verification", "true");
            client.set("ssl.endpoint.identification.algorithm", "https");
            if let Some(ca) = &tls.ca_location {
                client.set("ssl.ca.location", ca.to_string_lossy());
            }
        }
        client
    }

    /// The properties of a producer.
    pub fn producer(&self) -> ClientConfig {
        let mut client = self.client();
        client
            // acks=all; retries by the client neither reorder nor duplicate.
            .set("enable.idempotence", "true")
            // As Java and aiokafka; the default would map a key to another partition than they do.
            .set("partitioner", "murmur2_random")
            // With the default of 5 min a process could still send long after its shard went to another one.
            .set("message.timeout.ms", self.message_timeout.as_millis().to_string())
            // The relay sends in bursts, so waiting for more gains nothing.
            .set("linger.ms", "0")
            // The platform's consumers lack the libraries for lz4, zstd and snappy.
            .set("compression.type", "none")
            .set("message.max.bytes", "2097152")
            // A broker applies the topic's record limit to the whole batch of a request and refuses all of it. By default a batch
            // holds 1 MB, while topics may take less (`LARGEST_SENT`). A larger record is sent alone.
            .set("batch.size", "262144")
            .set("queue.buffering.max.messages", "10000");
        client
    }

    /// The properties of a consumer in this group.
    pub fn consumer(&self, group: &str) -> ClientConfig {
        let mut client = self.client();
        client
            .set("group.id", group)
            // An offset is committed when the database has everything before it, and at no other time.
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // With the default everything sent before the first start would be skipped.
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("allow.auto.create.topics", "false")
            .set("session.timeout.ms", self.session_timeout.as_millis().to_string())
            .set("heartbeat.interval.ms", (self.session_timeout / 4).as_millis().to_string())
            // Bounds the prefetched records in kB, because a database outage may last for hours.
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.message.max.bytes", "2097152")
            .set("fetch.wait.max.ms", "100");
        client
    }
}

/// Why librdkafka could not create a client. Leaves out the values of properties, because a password is one of them.
pub fn creation_error(error: &KafkaError) -> String {
    if let KafkaError::ClientConfig(_, problem, key, _) = error {
        let problem = if key.contains("password") { "" } else { problem };
        return format!("librdkafka refuses the property {key}: {problem}");
    }
    if let KafkaError::ClientCreation(problem) = error { problem.clone() } else { error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cluster that does not exist.
    fn settings() -> KafkaSettings {
        KafkaSettings::plaintext("kafka-1:9092,kafka-2:9092")
    }

    /// The same, over TLS and with a password.
    fn with_password_over_tls() -> KafkaSettings {
        let sasl = Sasl {
            mechanism: "SCRAM-SHA-512".to_owned(),
            username: "bos".to_owned(),
            password: Secret::from("correct horse"),
        };
        KafkaSettings { tls: Some(Tls::default()), sasl: Some(sasl), ..settings() }
    }

    /// The value of a property as librdkafka parsed it.
    fn read_back(client: &ClientConfig, key: &str) -> String {
        client.create_native_config().unwrap().get(key).unwrap()
    }

    #[test]
    fn the_producer_keeps_messages_complete_and_in_order() {
        let producer = settings().producer();
        let expected = [
            ("bootstrap.servers", "kafka-1:9092,kafka-2:9092"),
            ("enable.idempotence", "true"),
            ("acks", "-1"),
            ("partitioner", "murmur2_random"),
            ("message.timeout.ms", "8000"),
            ("socket.timeout.ms", "6000"),
            ("linger.ms", "0"),
            ("compression.type", "none"),
            ("message.max.bytes", "2097152"),
            ("batch.size", "262144"),
            ("queue.buffering.max.messages", "10000"),
            ("topic.metadata.refresh.interval.ms", "5000"),
        ];
        for (key, value) in expected {
            assert_eq!(read_back(&producer, key), value, "{key}");
        }
    }

    #[test]
    fn the_consumer_commits_offsets_only_explicitly() {
        let consumer = settings().consumer(engine::consumer::CONSUMER);
        let expected = [
            ("group.id", "batch-orchestrator-service-rs"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "smallest"),
            ("isolation.level", "read_committed"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("allow.auto.create.topics", "false"),
            ("session.timeout.ms", "10000"),
            ("topic.metadata.refresh.interval.ms", "5000"),
        ];
        for (key, value) in expected {
            assert_eq!(read_back(&consumer, key), value, "{key}");
        }
    }

    #[test]
    fn a_password_is_sent_over_tls_to_a_verified_server_only() {
        let client = with_password_over_tls().client();
        let expected = [
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", "bos"),
            ("sasl.password", "correct horse"),
            ("enable.ssl.certificate.verification", "true"),
            ("ssl.endpoint.identification.algorithm", "https"),
        ];
        for (key, value) in expected {
            assert_eq!(read_back(&client, key), value, "{key}");
        }
        assert_eq!(client.get("ssl.ca.location"), None, "the system's certificates");
    }

    #[test]
    fn without_authentication_librdkafka_gets_no_user_name_and_no_password() {
        let client = KafkaSettings { tls: Some(Tls::default()), ..settings() }.client();
        assert_eq!(client.get("sasl.password"), None);
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let shown = format!("{:?}", with_password_over_tls());
        assert!(!shown.contains("correct horse"), "{shown}");
    }
}
