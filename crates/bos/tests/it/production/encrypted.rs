//! Kafka over TLS with SCRAM: a real listener with a real certificate.

use serde_json::Value;
use service::companions::CompanionBehaviour;
use testbed::kafka::tls::{AUTHORITY_VARIABLE, PASSWORD, SASL_SSL_VARIABLE, SSL_VARIABLE, USER};

use super::kafka;
use super::road::{Companions, ONE_AT_A_TIME, class, ended};
use crate::databases::on_postgres;
use crate::host::Client;
use crate::neighbour::service::Service;
use crate::program::{Server, bos, eventually, write_secret};

/// The encrypted listeners of this test run's Kafka.
pub(super) struct Doors {
    ssl: String,
    sasl_ssl: String,
    authority: String,
}

impl Doors {
    pub(super) fn find() -> Option<Self> {
        let told = |variable: &str| std::env::var_os(variable).and_then(|told| told.into_string().ok());
        let doors = (told(SSL_VARIABLE), told(SASL_SSL_VARIABLE), told(AUTHORITY_VARIABLE));
        let (Some(ssl), Some(sasl_ssl), Some(authority)) = doors else {
            super::left_out(
                "bos-kafka-tls",
                "Kafka over TLS: run `cargo xtask test`, or name the TLS listeners of your own Kafka",
            );
            return None;
        };
        Some(Self { ssl, sasl_ssl, authority })
    }

    /// The same listener by an address that is not in the certificate.
    fn by_address(door: &str) -> String {
        door.replace("localhost", "127.0.0.1")
    }

    /// The settings for this user, without the prefix.
    fn settings(&self, user: &str) -> Vec<(&'static str, String)> {
        vec![
            ("kafka_bootstrap_servers", self.sasl_ssl.clone()),
            ("kafka_security_protocol", "sasl_ssl".to_owned()),
            ("kafka_sasl_mechanism", "scram-sha-512".to_owned()),
            ("kafka_sasl_username", user.to_owned()),
            ("kafka_sasl_password", PASSWORD.to_owned()),
            ("kafka_ssl_ca_location", self.authority.clone()),
        ]
    }

    /// Starts the service as this user on this database.
    pub(super) async fn service(&self, user: &str, content: &str, database: &str) -> Service {
        let settings = self.settings(user);
        let mut settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (*key, &**value)).collect();
        settings.extend([("kafka_session_timeout", "6s"), ("database_url", database)]);
        Service::start(content.to_owned(), &settings).await
    }

    /// The settings of a valid user as variables, with one replaced; an empty value removes it.
    fn variables(&self, key: &str, value: &str) -> Vec<(String, String)> {
        let named = self.settings(USER).into_iter().filter(|(of, _)| *of != key);
        named
            .chain(std::iter::once((key, value.to_owned())).filter(|(_, value)| !value.is_empty()))
            .map(|(key, value)| (format!("BATCH_ORCHESTRATOR_SERVICE_{}", key.to_uppercase()), value))
            .collect()
    }
}

/// A wrong secret, which no output may contain.
const WRONG: &str = "hunter2-hunter2";

#[tokio::test(flavor = "multi_thread")]
async fn a_class_is_processed_over_tls_with_user_name_and_password() {
    let (Some(kafka), Some(doors)) = (kafka(), Doors::find()) else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let service = doors.service(USER, &companions.content, &url).await;
        let batch = service.hand_in(&class(3, &["spellcheck", "nlp"])).await;
        let status = ended(&service, &batch).await;
        assert_eq!(status["status"], "completed_successfully", "{status}");
        service.stop().await;
        companions.stop().await;
    })
    .await;
}

/// The finding of `bos doctor` about Kafka, and all its output.
fn doctor(variables: &[(String, String)]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bos(&["doctor", "-o", "jsonl", "--data-dir", folder.path().to_str().unwrap()]);
    let output = command.envs(variables.iter().cloned()).output().unwrap();
    let said = String::from_utf8([output.stdout.clone(), output.stderr].concat()).unwrap();
    let rows = String::from_utf8(output.stdout).unwrap();
    let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let row = rows.into_iter().find(|row| row["check"] == "kafka").unwrap_or_else(|| panic!("{said}"));
    (format!("{} {} {}", row["state"], row["found"], row["mend"]), said)
}

#[test]
fn a_failed_authentication_or_handshake_names_the_variable_and_prints_no_secret() {
    let Some(doors) = Doors::find() else { return };
    let (ssl, stranger) = (doors.ssl.clone(), Doors::by_address(&doors.sasl_ssl));
    let cases = [
        ("a wrong password", "kafka_sasl_password", WRONG, "broker_denies", "KAFKA_SASL_PASSWORD"),
        ("an unknown user name", "kafka_sasl_username", "unknown", "broker_denies", "KAFKA_SASL_USERNAME"),
        (
            "a certificate for another name",
            "kafka_bootstrap_servers",
            &*stranger,
            "broker_untrusted",
            "KAFKA_BOOTSTRAP_SERVERS",
        ),
        (
            "an authority we do not know",
            "kafka_ssl_ca_location",
            "",
            "broker_untrusted",
            "KAFKA_SSL_CA_LOCATION",
        ),
    ];
    std::thread::scope(|threads| {
        for (what, key, value, code, variable) in cases {
            let variables = doors.variables(key, value);
            threads.spawn(move || {
                let (found, said) = doctor(&variables);
                assert!(found.starts_with("\"failure\""), "{what}: {found}");
                assert!(found.contains(code) && found.contains(variable), "{what}: {found}");
                assert!(!said.contains(WRONG) && !said.contains(PASSWORD), "{what}: {said}");
            });
        }
        // Valid settings work, so the others fail for the wrong value only.
        let mut anonymous = doors.variables("kafka_bootstrap_servers", &ssl);
        anonymous.retain(|(key, _)| !key.contains("SASL"));
        for (key, value) in &mut anonymous {
            if key.ends_with("PROTOCOL") {
                "ssl".clone_into(value);
            }
        }
        let right = doors.variables("kafka_sasl_username", USER);
        for variables in [anonymous, right] {
            threads.spawn(move || {
                let (found, said) = doctor(&variables);
                assert!(found.starts_with("\"ok\""), "{said}");
            });
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_kafka_refuses_keeps_running_and_reports_why_in_readyz_and_once_in_its_log() {
    let Some(doors) = Doors::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let variables = doors.variables("kafka_sasl_password", WRONG);
    let variables: Vec<(&str, &str)> = variables.iter().map(|(key, value)| (&**key, &**value)).collect();
    let server = Server::told_and_logging(&folder.path().join("data"), &variables, &log);
    let client = Client::of(&server);
    client.accepted("while Kafka denies us").await;
    client.until_degraded_by(Some("broker_denies")).await;
    assert_eq!(client.get("/readyz").await.status, 200, "submissions are accepted meanwhile");
    let advice = "correct BATCH_ORCHESTRATOR_SERVICE_KAFKA_SASL_USERNAME";
    let mut said = String::new();
    tokio::task::block_in_place(|| {
        eventually("its log says what to correct", || {
            said = std::fs::read_to_string(&log).unwrap();
            said.contains(advice)
        });
    });
    // The producer, the consumer and the topic monitor.
    let clients = 3;
    assert!(said.matches(advice).count() <= clients, "once for each client: {said}");
    assert!(!said.contains(WRONG), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_rotated_in_its_file_is_used_without_a_restart_once_kafka_refuses_the_old_one() {
    let Some(doors) = Doors::find() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    write_secret(&file, WRONG);
    let mut variables = doors.variables("kafka_sasl_password", "");
    let of_file = "BATCH_ORCHESTRATOR_SERVICE_KAFKA_SASL_PASSWORD_FILE".to_owned();
    variables.push((of_file, file.to_str().unwrap().to_owned()));
    let variables: Vec<(&str, &str)> = variables.iter().map(|(key, value)| (&**key, &**value)).collect();
    let server = Server::told(&folder.path().join("data"), &[], &variables);
    let client = Client::of(&server);
    client.accepted("while Kafka denies us").await;
    client.until_degraded_by(Some("broker_denies")).await;
    write_secret(&file, PASSWORD);
    client.until_degraded_by(None).await;
}
