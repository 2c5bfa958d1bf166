//! Authentication, authorization and certificate errors, with the settings to correct.

use std::fmt;

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::settings::SettingNames;

/// The page with the commands that grant the rights.
const RIGHTS: &str = "docs/operations.md, Kafka over TLS";

/// Why a reachable cluster and this process do not work together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// Kafka refuses the user name or the password.
    Password,
    /// Kafka knows the user, who lacks a right that the service needs.
    Right,
    /// This process does not trust Kafka's certificate, or TLS cannot be negotiated.
    Certificate,
}

impl Denial {
    /// The denial that an error code means; `None` for every other error.
    pub(crate) fn from_code(code: Code) -> Option<Self> {
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

    /// The stable code, as in readiness and logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Password => "broker_denies",
            Self::Right => "broker_forbids",
            Self::Certificate => "broker_untrusted",
        }
    }

    /// What to do, naming the settings to correct.
    pub fn next_step(self, names: &SettingNames) -> String {
        let SettingNames { bootstrap_servers, username, password, mechanism, ca_location } = names;
        match self {
            Self::Password => {
                format!("correct {username}, {password} (or {password}_FILE) and {mechanism}")
            }
            Self::Right => format!(
                "allow the user of {username} to write to the topics that we send to, and to read those that we read and our \
                 group ({RIGHTS})"
            ),
            Self::Certificate => format!(
                "have {ca_location} name the authority that signed Kafka's certificate, and {bootstrap_servers} the hosts by the \
                 names that are in it"
            ),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password => "it refuses our user name and password (broker_denies)",
            Self::Right => "our user lacks a right on it (broker_forbids)",
            Self::Certificate => "its certificate cannot be trusted (broker_untrusted)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_denial_names_the_settings_to_correct() {
        let password = Denial::from_code(Code::Authentication).unwrap();
        assert!(password.next_step(&SettingNames::LIBRDKAFKA).contains("sasl.password"));
        let certificate = Denial::from_code(Code::SSL).unwrap();
        assert!(certificate.next_step(&SettingNames::LIBRDKAFKA).contains("ssl.ca.location"));
        let right = Denial::from_code(Code::TopicAuthorizationFailed).unwrap();
        assert!(right.next_step(&SettingNames::LIBRDKAFKA).contains("sasl.username"));
        let codes = std::collections::BTreeSet::from([password, certificate, right].map(Denial::code));
        assert_eq!(codes.len(), 3);
        assert_eq!(Denial::from_code(Code::AllBrokersDown), None);
    }
}
