//! Every setting is used, and every property of the Kafka clients is read back from librdkafka in a test.

use crate::{
    Breach, assert_none,
    sources::{Source, ends_of_word, file, ours},
};

const CONFIG: &str = "crates/service/src/config.rs";
const READERS: [&str; 2] = ["crates/service/src/", "crates/bos/src/"];

/// Settings that nothing reads yet, and why they are there.
const UNUSED: [(&str, &str); 1] = [("sse_keep_alive", "no endpoint streams events yet")];

const KAFKA: &str = "crates/kafka/src/settings.rs";

/// Properties of the clients that no promise depends on: names, pauses of reconnecting, sizes and times of fetching.
const TUNING: [&str; 9] = [
    "client.id",
    "socket.keepalive.enable",
    "reconnect.backoff.ms",
    "reconnect.backoff.max.ms",
    "statistics.interval.ms",
    "heartbeat.interval.ms",
    "queued.max.messages.kbytes",
    "fetch.message.max.bytes",
    "fetch.wait.max.ms",
];

/// The keys of the `settings!` table, with their lines.
fn keys(config: &Source) -> Vec<(usize, &str)> {
    let lines = config.block("settings! {").filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines.filter_map(|(number, line)| Some((number, line.trim().split_once(": ")?.0))).collect()
}

fn reads(source: &Source, key: &str) -> bool {
    ends_of_word(&source.text, key).any(|end| source.text[..end - key.len()].ends_with('.'))
}

/// Settings that have no effect.
fn unread(sources: &[Source]) -> Vec<Breach> {
    let readers: Vec<_> = sources
        .iter()
        .filter(|source| {
            READERS.iter().any(|folder| source.path.starts_with(folder)) && source.path != CONFIG
        })
        .collect();
    keys(file(sources, CONFIG))
        .into_iter()
        .filter(|(_, key)| !UNUSED.iter().any(|(unused, _)| unused == key))
        .filter(|(_, key)| !readers.iter().any(|source| reads(source, key)))
        .map(|(line, key)| {
            let fix = "give it to the crate that needs it in crates/service/src/settings.rs";
            Breach::new(CONFIG, line, format!("the setting {key} has no effect"), fix)
        })
        .collect()
}

/// Properties that the tests of the same file do not read back.
fn unchecked_properties(settings: &Source) -> Vec<Breach> {
    let (shipped, tests) = settings.text.split_once("#[cfg(test)]").unwrap_or((&settings.text, ""));
    let set = ".set(\"";
    let properties = shipped.match_indices(set).filter_map(|(at, _)| {
        let name = shipped[at + set.len()..].split('"').next()?;
        Some((settings.line_at(at), name))
    });
    properties
        .filter(|(_, name)| !TUNING.contains(name) && !tests.contains(&format!("(\"{name}\"")))
        .map(|(line, name)| {
            let what = format!("no test reads {name} back from librdkafka");
            Breach::new(&settings.path, line, what, "add it to the test of its client in the same file")
        })
        .collect()
}

#[test]
fn every_setting_has_an_effect() {
    let ours = ours();
    assert!(keys(file(&ours, CONFIG)).len() > 50, "the rule finds the settings");
    assert_none(&unread(&ours));
}

#[test]
fn every_property_of_the_kafka_clients_is_read_back() {
    let ours = ours();
    let settings = file(&ours, KAFKA);
    assert!(settings.text.matches(".set(\"").count() > 30, "the rule finds the properties");
    assert_none(&unchecked_properties(settings));
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    #[test]
    fn a_setting_that_nothing_reads_is_a_breach() {
        let config = "settings! {\n    /// The port: of HTTP.\n    port: u16,\n    /// Labels.\n    max_labels: u32,\n}\n\
                      fn read(config: &Config) { config.max_labels }\n";
        let sources = [
            Source::new(CONFIG, config),
            Source::new(
                "crates/service/src/settings.rs",
                "port: config.port,\nconfig.max_labels_key\nmax_labels\n",
            ),
            Source::new("crates/api/src/limits.rs", "settings.max_labels\n"),
        ];
        let breaches = unread(&sources);
        assert_eq!((breaches.len(), breaches[0].line), (1, 5));
        assert_eq!(breaches[0].what, "the setting max_labels has no effect");
    }

    #[test]
    fn a_property_that_no_test_reads_back_is_a_breach() {
        let text = "client\n    .set(\"acks\", \"all\")\n    .set(\"linger.ms\", \"0\")\n    .set(\"client.id\", \"bos\");\n\
                    #[cfg(test)]\nmod tests {\n    (\"linger.ms\", \"0\")\n}\n";
        let breaches = unchecked_properties(&Source::new(KAFKA, text));
        assert_eq!((breaches.len(), breaches[0].line), (1, 2));
    }
}
