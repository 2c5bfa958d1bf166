//! The configuration of a server of one node.

use super::tls;

/// The file's name in the server's folder, which the server runs in.
pub(super) const FILE: &str = "server.properties";

/// The folder of the data in it.
pub(super) const DATA: &str = "data";

/// Ports of the loopback address.
pub(super) struct Ports {
    /// For clients.
    pub(super) broker: u16,
    /// For the server's own other half.
    pub(super) controller: u16,
    /// Where clients are sent: the broker's, or that of a proxy before it.
    pub(super) advertised: u16,
    /// For clients that want to be sure whom they speak with.
    pub(super) ssl: u16,
    /// For clients that say who they are besides.
    pub(super) sasl_ssl: u16,
}

/// What the file says. Folders are relative to it: Kafka reads the file as Latin-1, which no path need be.
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
# Who comes without a name may do everything, so that tests need not ask; who has a name, what he was allowed.
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{user}
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
log.dirs={DATA}
# There is one node, so nothing can have a second copy.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Tests wait for nobody who might join.
group.initial.rebalance.delay.ms=0
# Nor for somebody who has died, if they say so: by default a session lasts 6 s at least.
group.min.session.timeout.ms=1000
# A killed broker that comes back must wait until its former self has lost the controller's trust; by default, 9 s.
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
    fn clients_are_sent_to_the_advertised_port_and_the_server_listens_on_its_own() {
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
    fn a_topic_that_nobody_made_stays_away() {
        let text = text(&Ports { broker: 1, controller: 2, advertised: 1, ssl: 4, sasl_ssl: 5 });
        assert_eq!(value(&text, "auto.create.topics.enable"), "false");
    }
}
