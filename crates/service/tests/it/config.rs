use std::fs;
use std::io::Write as _;

use secrecy::ExposeSecret as _;
use service::config::{Config, DEFAULTS, Error, Flag, Loaded, Origin, Sources};

const PREFIX: &str = "BATCH_ORCHESTRATOR_SERVICE_";

fn variables(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { environment, ..Sources::default() }
}

fn ours(key: &str, value: &str) -> Sources {
    variables(&[(&format!("{PREFIX}{key}"), value)])
}

fn faults(sources: &Sources) -> String {
    Config::load(sources).expect_err("these sources must be refused").to_string()
}

fn origin<'a>(loaded: &'a Loaded, key: &str) -> &'a Origin {
    loaded.shown.iter().find(|shown| shown.key == key).and_then(|shown| shown.origin.as_ref()).unwrap()
}

#[test]
fn the_defaults_are_a_complete_configuration() {
    let loaded = Config::load(&Sources::default()).unwrap();
    assert_eq!(loaded.config.port, 5000);
    assert!(loaded.config.host.is_loopback());
    assert_eq!(loaded.config.max_essays.get(), 2000);
    assert_eq!(loaded.config.max_body_size.as_u64(), 32 * 1024 * 1024);
    assert_eq!(loaded.config.max_text_size.as_u64(), 200_000);
    assert_eq!(loaded.config.ended_batch_retention.as_secs(), 90 * 24 * 3600);
    assert_eq!(loaded.config.companions.iter().count(), 4);
    assert!(loaded.warnings.is_empty() && loaded.config.unsupported_settings().is_empty());
}

#[test]
fn the_embedded_file_lists_every_setting_once() {
    let loaded = Config::load(&Sources::default()).unwrap();
    for shown in &loaded.shown {
        let line =
            |mark: &str| DEFAULTS.lines().any(|line| line.starts_with(&format!("{mark}{} = ", shown.key)));
        assert!(line("") != line("# "), "{} is there once, set or as a comment", shown.key);
    }
}

#[test]
fn the_commented_examples_of_the_embedded_file_are_valid() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for line in DEFAULTS.lines().filter_map(|line| line.strip_prefix("# ")) {
        let is_example = line.split_once(" = ").is_some_and(|(key, _)| !key.contains([' ', '`']));
        if is_example {
            writeln!(file, "{line}").unwrap();
        }
    }
    let loaded = Config::load(&Sources { file: Some(file.path().to_owned()), ..Sources::default() }).unwrap();
    assert!(loaded.shown.iter().all(|shown| shown.value.is_some()));
}

#[test]
fn each_layer_overrides_the_layers_below() {
    let directory = tempfile::tempdir().unwrap();
    let (file, dotenv) = (directory.path().join("bos.toml"), directory.path().join(".env"));
    fs::write(&file, "# mine\nport = 1\nretry_limit = 1\ndata_dir = \"file\"\nmax_labels = 1\n").unwrap();
    fs::write(&dotenv, format!("{PREFIX}PORT=2\n{PREFIX}RETRY_LIMIT=2\nHOST=127.0.0.2\nOTHER_PROGRAM=x\n"))
        .unwrap();
    let environment =
        vec![(format!("{PREFIX}PORT"), "3".to_owned()), ("HOST".to_owned(), "127.0.0.3".to_owned())];
    let flags = vec![Flag { flag: "--port".to_owned(), key: "port".to_owned(), value: "4".to_owned() }];
    let sources = Sources { file: Some(file.clone()), dotenv: Some(dotenv.clone()), environment, flags };
    let loaded = Config::load(&sources).unwrap();

    assert_eq!((loaded.config.port, loaded.config.retry_limit, loaded.config.max_labels), (4, 2, 1));
    assert_eq!(loaded.config.host.to_string(), "127.0.0.3");
    assert_eq!(*origin(&loaded, "port"), Origin::Flag("--port".to_owned()));
    assert_eq!(*origin(&loaded, "host"), Origin::Environment("HOST".to_owned()));
    let variable = format!("{PREFIX}RETRY_LIMIT");
    assert_eq!(*origin(&loaded, "retry_limit"), Origin::Dotenv { path: dotenv, line: 2, variable });
    assert_eq!(*origin(&loaded, "data_dir"), Origin::File { path: file, line: 4 });
    assert_eq!(*origin(&loaded, "log_level"), Origin::Default);
}

#[test]
fn a_prefixed_name_overrides_a_shared_name_in_its_own_layer_only() {
    let both = variables(&[(&format!("{PREFIX}PORT"), "7001"), ("PORT", "7002")]);
    assert_eq!(Config::load(&both).unwrap().config.port, 7001);

    let mut dotenv = tempfile::NamedTempFile::new().unwrap();
    writeln!(dotenv, "{PREFIX}PORT=7003").unwrap();
    let above = Sources { dotenv: Some(dotenv.path().to_owned()), ..variables(&[("PORT", "7004")]) };
    assert_eq!(Config::load(&above).unwrap().config.port, 7004);
}

#[test]
fn invalid_values_are_refused_with_their_key_and_valid_ones_are_accepted() {
    let refused = [
        ("PORT", "80a"),
        ("PORT", "70000"),
        ("PORT", ""),
        ("HOST", "not an address"),
        ("LOG_LEVEL", "loud"),
        ("PHASE_TIMEOUT", "30"),
        ("PHASE_TIMEOUT", "0s"),
        ("MAX_BODY_SIZE", "much"),
        ("MAX_BODY_SIZE", "0"),
        ("MAX_ESSAYS", "3001"),
        ("MAX_ESSAYS", "0"),
        ("MAX_CONNECTIONS", "-1"),
        ("BACKLOG_RESUME_PERCENT", "101"),
        ("NLP_COMMAND_VERSION", "3"),
        ("ALLOW_OPEN_BIND", "perhaps"),
        ("COMPANIONS", "content,ghost"),
        ("LEASE_TTL", "10s"),
        ("MAX_TEXT_SIZE", "33 MiB"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost:0"),
        ("DATABASE_URL", "mysql://localhost/bos"),
        ("AUTH", "gateway"),
        ("ALLOWED_HOSTS", "bos:5000"),
        ("ALLOWED_HOSTS", "https://bos"),
        ("ALLOWED_HOSTS", "*.school.example"),
        ("ALLOWED_HOSTS", "bos,,other"),
        ("PROBE_PORT", "5000"),
    ];
    for (key, value) in refused {
        let said = faults(&ours(key, value));
        assert!(said.contains(key), "{key}={value} is named in: {said}");
    }
    let accepted = [
        ("LOG_LEVEL", "Warn"),
        ("LOG_LEVEL", "CRITICAL"),
        ("PHASE_TIMEOUT", "200ms"),
        ("MAX_BODY_SIZE", "2000000"),
        ("HOST", "localhost"),
        ("COMPANIONS", "none"),
        ("PORT", "0"),
        ("PROBE_PORT", "0"),
        ("ALLOWED_HOSTS", "bos.school.example, 192.0.2.7,[2001:db8::1],2001:db8::2"),
        ("ALLOWED_HOSTS", "none"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:9092, b:9092,a:9092,"),
    ];
    for (key, value) in accepted {
        Config::load(&ours(key, value)).unwrap_or_else(|error| panic!("{key}={value}: {error}"));
    }
}

#[test]
fn without_a_limit_of_its_own_a_peer_may_have_half_of_the_connections() {
    use service::settings::{accept_limits, probe_limits};
    let limits = |settings: &[(&str, &str)]| {
        let named: Vec<(String, &str)> =
            settings.iter().map(|(name, value)| (format!("{PREFIX}{name}"), *value)).collect();
        let pairs: Vec<(&str, &str)> = named.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        accept_limits(&Config::load(&variables(&pairs)).unwrap().config)
    };
    let per_peer = |settings: &[(&str, &str)]| limits(settings).max_connections_per_peer.get();
    assert_eq!(per_peer(&[("MAX_CONNECTIONS", "10")]), 5);
    assert_eq!(per_peer(&[("MAX_CONNECTIONS", "1")]), 1);
    assert_eq!(per_peer(&[("MAX_CONNECTIONS", "10"), ("MAX_CONNECTIONS_PER_PEER", "7")]), 7);
    let probes = probe_limits(limits(&[("MAX_CONNECTIONS", "1")]));
    assert_eq!(
        (probes.max_connections.get(), probes.max_connections_per_peer.get()),
        (32, 16),
        "probes have connections of their own"
    );
}

#[test]
fn all_faults_are_reported_together_with_the_next_step() {
    let said = faults(&variables(&[
        (&format!("{PREFIX}PROT"), "1"),
        (&format!("{PREFIX}MAX_ESSAYS"), "many"),
        ("LOG_LEVEL", "loud"),
    ]));
    assert!(said.contains("3 faults"), "{said}");
    assert!(said.contains(&format!("did you mean {PREFIX}PORT?")), "{said}");
    assert!(said.contains("environment LOG_LEVEL is none of: debug info warning error critical"), "{said}");
}

#[test]
fn a_fault_in_a_file_names_the_line_and_never_quotes_it() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "port = 1\nhots = \"127.0.0.1\"\n[kafka]\npassword = \"hunter2\"\n").unwrap();
    let said = faults(&Sources { file: Some(file.path().to_owned()), ..Sources::default() });
    assert!(said.contains(":2 hots is not a setting; did you mean host?"), "{said}");
    assert!(said.contains(":3 kafka"), "{said}");

    let mut broken = tempfile::NamedTempFile::new().unwrap();
    write!(broken, "port = 1\ngateway_token = \"hunter2\n").unwrap();
    let said = faults(&Sources { file: Some(broken.path().to_owned()), ..Sources::default() });
    assert!(said.contains(":2 is not TOML") && !said.contains("hunter2"), "{said}");

    let lines = [
        "A='tis".to_owned(),
        format!("{PREFIX}GATEWAY_TOKEN hunter2"),
        "export LOG_LEVEL='hunter2".to_owned(),
        "DATABASE_URL=${hunter2}".to_owned(),
        format!("{PREFIX}HOTS=hunter2"),
        "PORT=hunter2".to_owned(),
    ];
    let said = faults(&dotenv(lines.join("\n")).1);
    for told in [
        ":2 BATCH_ORCHESTRATOR_SERVICE_GATEWAY_TOKEN is not NAME=value",
        ":3 LOG_LEVEL has a quotation mark that is not closed",
        ":4 DATABASE_URL refers to a variable",
        ":5 BATCH_ORCHESTRATOR_SERVICE_HOTS is not a setting; did you mean",
        ":6 PORT is not",
    ] {
        assert!(said.contains(told), "{told} in: {said}");
    }
    assert!(said.contains("5 faults") && !said.contains("hunter2"), "{said}");
}

/// Sources whose `.env` holds this.
fn dotenv(content: impl AsRef<[u8]>) -> (tempfile::NamedTempFile, Sources) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_ref()).unwrap();
    let sources = Sources { dotenv: Some(file.path().to_owned()), ..Sources::default() };
    (file, sources)
}

/// A `.env` belongs to the folder, and the folder may be another program's.
#[test]
fn lines_of_a_dotenv_that_are_not_settings_are_ignored_whatever_they_hold() {
    let others: [&[u8]; 8] = [
        b"GREETING=it's\n",
        b"MOTD=hello world\n",
        b"X={\"a\": 1}\n",
        b"NAME=caf\xe9\n",
        b"TOKEN 'abc\nport = 1\nlog_level=x\n",
        b"\xef\xbb\xbf# written by an editor\n",
        b"KEY=\"first\nPORT=1\nlast\"\n",
        b"\0\0\n",
    ];
    for other in others {
        let (_file, sources) = dotenv([other, b"LOG_LEVEL=warning\n"].concat());
        let loaded = Config::load(&sources).unwrap_or_else(|error| panic!("{other:?}: {error}"));
        assert_eq!(loaded.config.log_level, service::config::words::LogLevel::Warning, "{other:?}");
        assert_eq!(loaded.config.port, 5000);
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources { dotenv: Some(folder.path().to_owned()), ..Sources::default() };
    assert!(Config::load(&sources).is_ok(), "a folder named .env is no file of settings");
}

#[test]
fn a_byte_order_mark_before_the_first_setting_is_not_part_of_its_name() {
    let marked = "\u{feff}LOG_LEVEL=loud\n";
    let utf16: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for content in [marked.as_bytes().to_vec(), utf16] {
        assert!(faults(&dotenv(content).1).contains(":1 LOG_LEVEL is none of"));
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "\u{feff}port = 5001").unwrap();
    let sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
    assert_eq!(Config::load(&sources).unwrap().config.port, 5001);
}

#[test]
fn variables_that_kubernetes_injects_are_ignored() {
    let injected = [
        ("PORT", "tcp://10.0.0.7:5000"),
        ("SERVICE_HOST", "10.0.0.7"),
        ("SERVICE_PORT", "5000"),
        ("SERVICE_PORT_HTTP", "5000"),
        ("PORT_5000_TCP", "tcp://10.0.0.7:5000"),
        ("PORT_5000_TCP_ADDR", "10.0.0.7"),
        ("PORT_5000_TCP_PROTO", "tcp"),
        ("METRICS_SERVICE_HOST", "10.0.0.8"),
        ("METRICS_PORT", "tcp://10.0.0.8:9090"),
    ];
    let named: Vec<(String, &str)> =
        injected.iter().map(|(name, value)| (format!("{PREFIX}{name}"), *value)).collect();
    let pairs: Vec<(&str, &str)> = named.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let loaded = Config::load(&variables(&pairs)).unwrap();
    assert_eq!(loaded.ignored.len(), injected.len());
    assert_eq!(loaded.config.port, 5000);
}

#[test]
fn the_urls_of_the_content_and_lifecycle_services_are_checked_and_normalised() {
    for bad in [
        "http://user:hunter2@content/",
        "file:///etc/passwd",
        "ftp://content",
        "https://content:8001/base",
        "http://content/?token=hunter2",
        "http://content/#x",
        "content:8001",
        "http://169.254.169.254/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
    ] {
        for name in ["CONTENT_SERVICE_URL", "ELS_URL"] {
            let said = faults(&variables(&[(name, bad)]));
            assert!(said.contains(name) && !said.contains("hunter2"), "{said}");
        }
    }
    let good = variables(&[("CONTENT_SERVICE_URL", "http://content:8001/base//")]);
    let url = Config::load(&good).unwrap().config.content_service_url.unwrap();
    assert_eq!(url.as_str(), "http://content:8001/base");
    let els = variables(&[("ELS_URL", "http://els:6000/base//")]);
    assert_eq!(Config::load(&els).unwrap().config.els_url.unwrap().as_url().as_str(), "http://els:6000/base");
    let allowed = variables(&[
        ("CONTENT_SERVICE_URL", "http://169.254.1.1/"),
        ("ELS_URL", "http://169.254.1.2/"),
        (&format!("{PREFIX}ALLOW_LINK_LOCAL_CONTENT"), "true"),
    ]);
    assert!(Config::load(&allowed).is_ok());
}

#[test]
fn postgresql_needs_kafka() {
    let alone = variables(&[("DATABASE_URL", "postgres://bos:hunter2@db/bos")]);
    let said = faults(&alone);
    assert!(said.contains("needs Kafka") && !said.contains("hunter2"), "{said}");

    // A maintenance command on the tables needs no Kafka.
    assert!(Config::load_for_maintenance(&alone).is_ok());

    let pair =
        variables(&[("DATABASE_URL", "postgres://db/bos"), ("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")]);
    let loaded = Config::load(&pair).unwrap();
    assert!(loaded.config.unsupported_settings().is_empty() || !cfg!(feature = "kafka"));
    let said: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert!(said[0].contains("CONTENT_SERVICE_URL"), "{said:?}");
    assert!(Config::load(&variables(&[("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")])).is_ok());
}

#[test]
fn production_refuses_each_risky_setting_until_it_is_allowed_by_name() {
    let mut pairs =
        vec![("ENVIRONMENT".to_owned(), "production".to_owned()), ("HOST".to_owned(), "0.0.0.0".to_owned())];
    let load = |pairs: &Vec<(String, String)>| {
        Config::load(&Sources { environment: pairs.clone(), ..Sources::default() })
    };
    for allowance in ["OPEN_BIND", "EMBEDDED_DATABASE", "EMBEDDED_BUS", "EMBEDDED_CONTENT"] {
        let said = load(&pairs).expect_err("one risky setting is not allowed yet").to_string();
        let name = format!("{PREFIX}ALLOW_{allowance}");
        assert!(said.contains(&name), "{said}");
        pairs.push((name, "true".to_owned()));
    }
    assert_eq!(load(&pairs).unwrap().warnings.len(), 1);

    pairs.push(("KAFKA_BOOTSTRAP_SERVERS".to_owned(), "kafka:9092".to_owned()));
    assert!(load(&pairs).expect_err("plaintext").to_string().contains("ALLOW_PLAINTEXT_KAFKA"));
    pairs.push((format!("{PREFIX}KAFKA_SECURITY_PROTOCOL"), "ssl".to_owned()));
    assert!(load(&pairs).is_ok());
}

#[test]
fn development_warns_about_an_open_bind_and_starts() {
    let loaded = Config::load(&variables(&[("HOST", "0.0.0.0")])).unwrap();
    assert!(loaded.warnings[0].to_string().contains("environment HOST"));
}

#[cfg(unix)]
#[test]
fn a_secret_is_read_from_a_file_that_other_users_cannot_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "\u{feff}hunter2").unwrap();
    let path = file.path().to_str().unwrap();
    let sources = ours("GATEWAY_TOKEN_FILE", path);
    let loaded = Config::load(&sources).unwrap();
    assert_eq!(loaded.config.gateway_token.as_ref().unwrap().get().expose_secret(), "hunter2");
    assert!(!format!("{loaded:?}").contains("hunter2"));

    let both = variables(&[
        (&format!("{PREFIX}GATEWAY_TOKEN"), "x"),
        (&format!("{PREFIX}GATEWAY_TOKEN_FILE"), path),
    ]);
    assert!(faults(&both).contains("both give gateway_token"));

    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(faults(&sources).contains("every user can read"));
    assert!(faults(&ours("GATEWAY_TOKEN_FILE", "/nowhere")).contains("GATEWAY_TOKEN_FILE"));
    assert!(faults(&ours("PORT_FILE", path)).contains("PORT_FILE is not a setting"));
}

#[test]
fn the_loaded_configuration_does_not_print_secrets() {
    let sources = variables(&[
        ("DATABASE_URL", "postgres://bos:hunter2@db/bos"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
        (&format!("{PREFIX}KAFKA_SASL_PASSWORD"), "hunter2"),
    ]);
    let loaded = Config::load(&sources).unwrap();
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

#[test]
fn an_error_lists_each_fault_on_a_line_of_its_own() {
    let Error(found) = Config::load(&variables(&[("PORT", "x"), ("HOST", "y")])).unwrap_err();
    assert_eq!(Error(found.clone()).to_string().lines().count(), 1 + found.len());
}
