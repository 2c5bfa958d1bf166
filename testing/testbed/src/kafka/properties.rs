//! The configuration of a Kafka server with one node.

use super::tls;

/// The name of the configuration file, in the folder in which the server runs.
pub(super) const FILE: &str = "server.properties";

/// The name of the data folder, in the same folder.
pub(super) const DATA: &str = "data";

/// Ports of the loopback address.
pub(super) struct Ports {
    /// The listener without encryption and authentication.
    pub(super) broker: u16,
    /// The listener of the controller.
    pub(super) controller: u16,
    /// The advertised port: that of the broker, or of a proxy before it.
    pub(super) advertised: u16,
    /// The listener with TLS.
    pub(super) ssl: u16,
    /// The listener with TLS and SCRAM.
    pub(super) sasl_ssl: u16,
}

/// The text of the file. Paths are relative to its folder, because Kafka reads the file as Latin-1, and a path may not be.
pub(super) fn text(ports: &Ports) -> String {
    let Ports { broker, controller, advertised, ssl, sasl_ssl } = ports;
    let (name, keystore, password) = (tls::NAME, tls::KEYSTORE, tls::KEYSTORE_PASSWORD);
    let user = tls::USER;
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},SSL://127.0.0.1:{ssl},SASL_SSL://127.0.0.1:{sasl_ssl},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised},SSL://{name}:{ssl},SASL_SSL://{name}:{sasl_ssl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
ssl.keystore.type=PKCS12
ssl.keystore.location={keystore}
ssl.keystore.password={password}
ssl.key.password={password}
sasl.enabled.mechanisms=SCRAM-SHA-512
# Clients without a user name may do everything, so that most tests need no rights. Other users need ACLs.
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{user}
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
log.dirs={DATA}
# There is only one node, so the replication factor is 1.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# No delay for further members of a group.
group.initial.rebalance.delay.ms=0
# Clients may choose a session time-out of 1 s, to detect a crashed member sooner. The default minimum is 6 s.
group.min.session.timeout.ms=1000
# A restarted broker must wait until the session of its former process has expired. The default is 9 s.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(text: &'a str, name: &str) -> &'a str {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap()
    }

    #[test]
    fn clients_get_the_advertised_port_and_the_server_listens_on_its_own() {
        let text = text(&Ports { broker: 1, controller: 2, advertised: 3, ssl: 4, sasl_ssl: 5 });
        assert_eq!(
            value(&text, "listeners"),
            "PLAINTEXT://127.0.0.1:1,SSL://127.0.0.1:4,SASL_SSL://127.0.0.1:5,CONTROLLER://127.0.0.1:2"
        );
        assert_eq!(value(&text, "controller.quorum.bootstrap.servers"), "127.0.0.1:2");
        assert_eq!(
            value(&text, "advertised.listeners"),
            "PLAINTEXT://127.0.0.1:3,SSL://localhost:4,SASL_SSL://localhost:5"
        );
    }

    #[test]
    fn topics_are_not_created_automatically() {
        let text = text(&Ports { broker: 1, controller: 2, advertised: 1, ssl: 4, sasl_ssl: 5 });
        assert_eq!(value(&text, "auto.create.topics.enable"), "false");
    }
}
