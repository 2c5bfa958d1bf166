//! The settings with which the service refuses to start in production, one row each.

use crate::program::bos;

const PREFIX: &str = "BATCH_ORCHESTRATOR_SERVICE_";

/// A configuration that is accepted in production without any allowance.
const FIT: [(&str, &str); 4] = [
    ("ENVIRONMENT", "production"),
    ("DATABASE_URL", "postgres://db/bos"),
    ("CONTENT_SERVICE_URL", "http://content:8001/v1/content"),
    ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
];

struct Row {
    what: &'static str,
    /// Variables in addition to [`FIT`]; an empty value removes one.
    with: &'static [(&'static str, &'static str)],
    /// The variable or setting that the refusal names.
    names: &'static str,
    /// The variable that allows it.
    allow: &'static str,
}

const ROWS: [Row; 8] = [
    Row {
        what: "an open bind without authentication",
        with: &[("HOST", "0.0.0.0")],
        names: "environment HOST",
        allow: "ALLOW_OPEN_BIND",
    },
    Row {
        what: "an open bind of IPv6",
        with: &[("HOST", "::")],
        names: "environment HOST",
        allow: "ALLOW_OPEN_BIND",
    },
    Row {
        what: "the embedded database",
        with: &[("DATABASE_URL", "")],
        names: "DATABASE_URL",
        allow: "ALLOW_EMBEDDED_DATABASE",
    },
    Row {
        what: "the embedded bus",
        with: &[("KAFKA_BOOTSTRAP_SERVERS", ""), ("DATABASE_URL", ""), ("*ALLOW_EMBEDDED_DATABASE", "true")],
        names: "KAFKA_BOOTSTRAP_SERVERS",
        allow: "ALLOW_EMBEDDED_BUS",
    },
    Row {
        what: "the embedded Content Service",
        with: &[("CONTENT_SERVICE_URL", "")],
        names: "CONTENT_SERVICE_URL",
        allow: "ALLOW_EMBEDDED_CONTENT",
    },
    Row {
        what: "Kafka in the clear beyond this machine",
        with: &[("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")],
        names: "kafka_security_protocol",
        allow: "ALLOW_PLAINTEXT_KAFKA",
    },
    Row {
        what: "one server of several beyond this machine",
        with: &[("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092,10.0.0.7:9092")],
        names: "kafka_security_protocol",
        allow: "ALLOW_PLAINTEXT_KAFKA",
    },
    Row {
        what: "a password in the clear",
        with: &[
            ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092"),
            ("*KAFKA_SECURITY_PROTOCOL", "sasl_plaintext"),
            ("*KAFKA_SASL_USERNAME", "bos"),
            ("*KAFKA_SASL_PASSWORD", "correct horse"),
        ],
        names: "environment BATCH_ORCHESTRATOR_SERVICE_KAFKA_SECURITY_PROTOCOL",
        allow: "ALLOW_PLAINTEXT_KAFKA",
    },
];

/// The refusal of this configuration, `None` if it is accepted.
fn refusal(extra: &[(&str, &str)]) -> Option<String> {
    let mut command = bos(&["config", "show"]);
    for (name, value) in FIT.iter().chain(extra) {
        let name = name.strip_prefix('*').map_or_else(|| (*name).to_owned(), |key| format!("{PREFIX}{key}"));
        if value.is_empty() {
            command.env_remove(name);
        } else {
            command.env(name, value);
        }
    }
    let ran = command.output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    match ran.status.code() {
        Some(0) => None,
        Some(2) => Some(said),
        other => panic!("{other:?}: {said}"),
    }
}

#[test]
fn each_risky_setting_is_refused_in_production_unless_it_is_allowed_by_name() {
    assert_eq!(refusal(&[]), None);
    for Row { what, with, names, allow } in ROWS {
        let said = refusal(with).unwrap_or_else(|| panic!("{what} starts"));
        assert!(said.contains("1 fault\n"), "{what}: {said}");
        assert!(said.contains(names), "{what}: {said}");
        assert!(said.contains(&format!("{PREFIX}{allow}=true")), "{what}: {said}");
        let allowance = format!("*{allow}");
        assert_eq!(
            refusal(&[with, &[(allowance.as_str(), "true")]].concat()),
            None,
            "{what} is allowed by name"
        );
        let refused = refusal(&[with, &[(allowance.as_str(), "false")]].concat());
        assert!(refused.is_some(), "{what}: false allows nothing");
        assert_eq!(
            refusal(&[with, &[("ENVIRONMENT", "development")]].concat()),
            None,
            "{what} in development"
        );
    }
}

#[test]
fn serve_refuses_to_start_and_names_all_risky_settings() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut command =
        bos(&["serve", "--host", "0.0.0.0", "--port", "0", "--data-dir", data.to_str().unwrap()]);
    let ran = command.env("ENVIRONMENT", "production").output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{said}");
    for allow in ["OPEN_BIND", "EMBEDDED_DATABASE", "EMBEDDED_BUS", "EMBEDDED_CONTENT"] {
        assert!(said.contains(&format!("{PREFIX}ALLOW_{allow}=true")), "{said}");
    }
    assert!(!data.exists(), "nothing was opened");
}

#[test]
fn production_accepts_safe_settings() {
    let token = ("*GATEWAY_TOKEN", super::GATEWAY);
    for (what, with) in [
        ("an open bind that asks for tokens", &[("HOST", "0.0.0.0"), ("*AUTH", "token")][..]),
        ("an open bind behind a gateway", &[("HOST", "0.0.0.0"), ("*AUTH", "gateway"), token]),
        ("loopback of IPv6", &[("HOST", "::1"), ("KAFKA_BOOTSTRAP_SERVERS", "[::1]:9092,localhost:9092")]),
        (
            "encrypted Kafka",
            &[
                ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092"),
                ("*KAFKA_SECURITY_PROTOCOL", "sasl_ssl"),
                ("*KAFKA_SASL_USERNAME", "bos"),
                ("*KAFKA_SASL_PASSWORD", "correct horse"),
            ],
        ),
    ] {
        assert_eq!(refusal(with), None, "{what}");
    }
}

#[test]
fn sasl_requires_a_user_name_and_a_password() {
    let said =
        refusal(&[("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092"), ("*KAFKA_SECURITY_PROTOCOL", "sasl_ssl")]);
    let said = said.unwrap();
    assert!(said.contains(&format!("set {PREFIX}KAFKA_SASL_USERNAME")), "{said}");
    assert!(said.contains(&format!("set {PREFIX}KAFKA_SASL_PASSWORD")), "{said}");
}

#[test]
fn a_weak_gateway_token_is_refused_and_not_repeated() {
    let said = refusal(&[("*AUTH", "gateway")]).unwrap();
    assert!(
        said.contains("environment BATCH_ORCHESTRATOR_SERVICE_AUTH") && said.contains("GATEWAY_TOKEN_FILE"),
        "{said}"
    );
    for weak in
        ["hunter2", "hunter2 hunter2 hunter2 hunter2 hunter2", "hunter2-hunter2-hunter2-hunter2-hunter2-ü"]
    {
        let said = refusal(&[("*AUTH", "gateway"), ("*GATEWAY_TOKEN", weak)]).unwrap();
        assert!(
            said.contains("GATEWAY_TOKEN is too short, or has characters that a header cannot carry")
                && !said.contains("hunter2"),
            "{said}"
        );
    }
}
