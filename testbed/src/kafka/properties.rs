//! The configuration of a server of one node.

/// The file's name in the server's folder, which the server runs in.
pub(super) const FILE: &str = "server.properties";

/// Ports of the loopback address.
pub(super) struct Ports {
    /// For clients.
    pub(super) broker: u16,
    /// For the server's own other half.
    pub(super) controller: u16,
    /// Where clients are sent: the broker's, or that of a proxy before it.
    pub(super) advertised: u16,
}

/// What the file says. Folders are relative to it: Kafka reads the file as Latin-1, which no path need be.
pub(super) fn text(ports: &Ports) -> String {
    let Ports { broker, controller, advertised } = ports;
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}
controller.listener.names=CONTROLLER
log.dirs=data
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
        let text = text(&Ports { broker: 1, controller: 2, advertised: 3 });
        assert_eq!(value(&text, "listeners"), "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2");
        assert_eq!(value(&text, "controller.quorum.bootstrap.servers"), "127.0.0.1:2");
        assert_eq!(value(&text, "advertised.listeners"), "PLAINTEXT://127.0.0.1:3");
    }

    #[test]
    fn a_topic_that_nobody_made_stays_away() {
        let text = text(&Ports { broker: 1, controller: 2, advertised: 1 });
        assert_eq!(value(&text, "auto.create.topics.enable"), "false");
    }
}
