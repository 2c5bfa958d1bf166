//! What librdkafka is told. Its defaults lose and reorder: each line that differs says why.

use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::Config;
use crate::config::words::{KafkaSecurity, SaslMechanism};

/// How Kafka is reached.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// `host:port,host:port`.
    pub bootstrap_servers: String,
    /// How connections are protected.
    pub security: KafkaSecurity,
    /// How this process proves who it is, where `security` asks for that.
    pub sasl: SaslMechanism,
    /// Its name.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// Certificate authorities; none means the system's.
    pub ca_location: Option<PathBuf>,
    /// How long a message may wait for its acknowledgement.
    pub message_timeout: Duration,
    /// How long a group waits for a silent member.
    pub session_timeout: Duration,
}

impl KafkaSettings {
    /// The configuration's part; none where Kafka is not configured.
    pub fn of(config: &Config) -> Option<Self> {
        Some(Self {
            bootstrap_servers: config.kafka_bootstrap_servers.as_ref()?.joined(),
            security: config.kafka_security_protocol,
            sasl: config.kafka_sasl_mechanism,
            username: config.kafka_sasl_username.clone(),
            password: config.kafka_sasl_password.clone(),
            ca_location: config.kafka_ssl_ca_location.clone(),
            message_timeout: config.kafka_message_timeout,
            session_timeout: config.kafka_session_timeout,
        })
    }

    /// What every client needs: where the cluster is and how to get in.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", "bos")
            .set("security.protocol", self.security.as_str())
            // Below the time-out of a message, so that a connection that hangs is noticed while a message may still be saved.
            .set("socket.timeout.ms", (self.message_timeout * 3 / 4).as_millis().to_string())
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "2000")
            // The default of five minutes is how long a topic that was made later would go unread.
            .set("topic.metadata.refresh.interval.ms", "5000")
            .set("statistics.interval.ms", "5000");
        if self.security.has_a_name() {
            client.set("sasl.mechanism", self.sasl.as_str().to_ascii_uppercase());
            client.set("sasl.username", self.username.as_deref().unwrap_or_default());
            client.set(
                "sasl.password",
                self.password.as_ref().map(SecretString::expose_secret).unwrap_or_default(),
            );
        }
        if matches!(self.security, KafkaSecurity::Ssl | KafkaSecurity::SaslSsl) {
            // Said although they are the defaults: nobody may be talked into another server.
            client.set("enable.ssl.certificate.verification", "true");
            client.set("ssl.endpoint.identification.algorithm", "https");
            if let Some(ca) = &self.ca_location {
                client.set("ssl.ca.location", ca.to_string_lossy());
            }
        }
        client
    }

    /// A producer.
    pub fn producer(&self) -> ClientConfig {
        let mut client = self.client();
        client
            // All in-sync replicas, no reordering by the client's own retries, no duplicates of them.
            .set("enable.idempotence", "true")
            // As Java and aiokafka; the default sends a key elsewhere than they do.
            .set("partitioner", "murmur2_random")
            // The default of five minutes would let a process send long after its shard went to another.
            .set("message.timeout.ms", self.message_timeout.as_millis().to_string())
            // Messages leave in bursts of a relay's look, so nothing is won by waiting for more.
            .set("linger.ms", "0")
            // Readers of lz4, zstd and snappy need parts that the platform's do not have.
            .set("compression.type", "none")
            .set("message.max.bytes", "2097152")
            // A broker measures a request by its topic's limit for a record, and refuses all of it: by default, 1 MB go into one,
            // while topics may take less (`LARGEST_SENT`). A larger record goes alone.
            .set("batch.size", "262144")
            .set("queue.buffering.max.messages", "10000");
        client
    }

    /// A member of a consumer group.
    pub fn consumer(&self, group: &str) -> ClientConfig {
        let mut client = self.client();
        client
            .set("group.id", group)
            // A position moves when the database has everything before it, and at no other time.
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // The default passes over everything that was sent before the first start.
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("allow.auto.create.topics", "false")
            .set("session.timeout.ms", self.session_timeout.as_millis().to_string())
            .set("heartbeat.interval.ms", (self.session_timeout / 4).as_millis().to_string())
            // Records fetched and not yet taken: bounded, since a database may be away for hours.
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.message.max.bytes", "2097152")
            .set("fetch.wait.max.ms", "100");
        client
    }
}

/// Why librdkafka made no client, without the values that it was given: a password is one of them.
pub(crate) fn of_creation(error: &KafkaError) -> String {
    if let KafkaError::ClientConfig(_, problem, key, _) = error {
        let problem = if key.contains("password") { "" } else { problem };
        return format!("librdkafka does not take {key}: {problem}");
    }
    if let KafkaError::ClientCreation(problem) = error { problem.clone() } else { error.to_string() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Complete ones, of a cluster that is nowhere.
    pub(in crate::kafka) fn settings(security: KafkaSecurity) -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: "kafka-1:9092,kafka-2:9092".to_owned(),
            security,
            sasl: SaslMechanism::ScramSha512,
            username: Some("bos".to_owned()),
            password: Some(SecretString::from("correct horse")),
            ca_location: None,
            message_timeout: Duration::from_secs(8),
            session_timeout: Duration::from_secs(10),
        }
    }

    /// As librdkafka has understood it.
    fn read_back(client: &ClientConfig, key: &str) -> String {
        client.create_native_config().unwrap().get(key).unwrap()
    }

    #[test]
    fn the_producer_is_told_what_keeps_messages_whole_and_in_order() {
        let producer = settings(KafkaSecurity::Plaintext).producer();
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
    fn the_consumer_is_told_to_move_its_position_only_when_it_is_told_to() {
        let consumer = settings(KafkaSecurity::Plaintext).consumer(engine::consumer::CONSUMER);
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
    fn a_name_and_a_password_are_proven_under_tls_to_the_server_that_was_named() {
        let client = settings(KafkaSecurity::SaslSsl).client();
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
    fn without_authentication_neither_name_nor_password_is_handed_to_librdkafka() {
        let client = settings(KafkaSecurity::Ssl).client();
        assert_eq!(client.get("sasl.password"), None);
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?}", settings(KafkaSecurity::SaslSsl));
        assert!(!shown.contains("correct horse"), "{shown}");
    }
}
