//! Why Kafka and this process do not get together although both are there, and what to do about it.

use std::fmt;

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::config::PREFIX;

/// Where the commands are that do it.
const RIGHTS: &str = "docs/operations.md, Kafka over TLS";

/// One of the two does not believe the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// Kafka does not take the name and the password.
    Password,
    /// Kafka knows the name, and does not let it do what we do.
    Right,
    /// We do not take Kafka's certificate, or no encrypted connection comes about at all.
    Certificate,
}

impl Denial {
    /// What an error says about that; none for every other trouble.
    pub(super) fn of(code: Code) -> Option<Self> {
        if matches!(code, Code::Authentication | Code::SaslAuthenticationFailed) {
            return Some(Self::Password);
        }
        if matches!(
            code,
            Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
        ) {
            return Some(Self::Right);
        }
        (code == Code::SSL).then_some(Self::Certificate)
    }

    /// Its name for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Password => "broker_denies",
            Self::Right => "broker_forbids",
            Self::Certificate => "broker_untrusted",
        }
    }

    /// What to do, by the names of the variables.
    pub fn mend(self) -> String {
        match self {
            Self::Password => format!(
                "correct {PREFIX}KAFKA_SASL_USERNAME, {PREFIX}KAFKA_SASL_PASSWORD (or …_PASSWORD_FILE) and \
                 {PREFIX}KAFKA_SASL_MECHANISM"
            ),
            Self::Right => format!(
                "allow the user of {PREFIX}KAFKA_SASL_USERNAME to write to the topics that we send to, and to read those that we \
                 read and our group ({RIGHTS})"
            ),
            Self::Certificate => format!(
                "have {PREFIX}KAFKA_SSL_CA_LOCATION name the authority that signed Kafka's certificate, and \
                 KAFKA_BOOTSTRAP_SERVERS the hosts by the names that are in it"
            ),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password => "it does not take our name and password (broker_denies)",
            Self::Right => "it does not let our user do what we do (broker_forbids)",
            Self::Certificate => "its certificate cannot be trusted (broker_untrusted)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_denial_names_the_variables_that_mend_it() {
        let password = Denial::of(Code::Authentication).unwrap();
        assert!(password.mend().contains("BATCH_ORCHESTRATOR_SERVICE_KAFKA_SASL_PASSWORD"));
        let certificate = Denial::of(Code::SSL).unwrap();
        assert!(certificate.mend().contains("BATCH_ORCHESTRATOR_SERVICE_KAFKA_SSL_CA_LOCATION"));
        let right = Denial::of(Code::TopicAuthorizationFailed).unwrap();
        assert!(right.mend().contains("BATCH_ORCHESTRATOR_SERVICE_KAFKA_SASL_USERNAME"));
        let codes = std::collections::BTreeSet::from([password, certificate, right].map(Denial::code));
        assert_eq!(codes.len(), 3);
        assert_eq!(Denial::of(Code::AllBrokersDown), None);
    }
}
