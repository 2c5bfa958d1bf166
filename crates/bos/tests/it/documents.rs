//! The commands of our pages, run by bash as they are printed.
//!
//! A test reads the blocks from the page, so a page cannot show a command that does not work. Only addresses differ: where a page
//! says `localhost:5000` or names a host that a reader has, the [`shell`] puts the server of the test. Commands that serve until
//! they are stopped go to the background, as a reader gives them a terminal.

mod page;
#[cfg(feature = "kafka")]
mod production;
mod shell;

use serde_json::Value;

use crate::program::{Server, eventually};
use page::{Block, blocks};
use shell::Shell;

/// How the blocks under a heading are tested.
enum Tested {
    /// On one machine, without servers.
    Embedded,
    /// On PostgreSQL and Kafka.
    Production,
    /// Not from the page, for this reason. Their commands are parsed by a test of `commands.rs`.
    Elsewhere(&'static str),
}

/// Every heading with a block that runs `bos`.
const PLAN: [(&str, &str, Tested); 9] = [
    ("README.md", "Batch Orchestrator Service", Tested::Embedded),
    ("README.md", "Use it", Tested::Embedded),
    ("README.md", "Run it on PostgreSQL and Kafka", Tested::Production),
    ("README.md", "Authenticate callers", Tested::Embedded),
    (
        "docs/operations.md",
        "From nothing to three replicas",
        Tested::Elsewhere(
            "it creates roles of a server and needs three brokers with TLS: production/{rights,encrypted}.rs",
        ),
    ),
    ("docs/operations.md", "From the laptop to production", Tested::Production),
    ("docs/operations.md", "Messages that Kafka does not accept", Tested::Embedded),
    ("docs/operations.md", "Messages that could not be processed", Tested::Embedded),
    (
        "docs/operations.md",
        "A broker has lost what it acknowledged",
        Tested::Elsewhere("the second command names a time of the reader's: production/operators.rs"),
    ),
];

/// The blocks under a heading that are tested in one way.
fn under(page: &str, heading: &str) -> Vec<Block> {
    blocks().into_iter().filter(|block| block.page == page && block.heading == heading).collect()
}

#[test]
fn every_block_of_our_commands_is_run_or_says_why_not() {
    let blocks = blocks();
    for block in blocks.iter().filter(|block| block.runs_bos()) {
        let planned = PLAN.iter().any(|(page, heading, _)| (*page, *heading) == (block.page, &block.heading));
        let checked =
            (block.page, block.heading.as_str()) == ("docs/reliability.md", "Check an installation");
        assert!(planned || checked, "{}: no test runs the commands under `{}`", block.page, block.heading);
    }
    for (page, heading, tested) in &PLAN {
        let shown = blocks.iter().any(|block| (block.page, block.heading.as_str()) == (*page, *heading));
        assert!(shown, "{page} shows no commands under `{heading}`");
        if let Tested::Elsewhere(reason) = tested {
            assert!(reason.contains(".rs"), "{page}, {heading}: name the tests that run them");
        }
    }
}

#[test]
fn the_commands_of_the_readme_run_as_they_are_printed() {
    let Some(shell) = Shell::new() else { return };
    let run = |heading: &str| under("README.md", heading).iter().for_each(|block| drop(shell.run(block)));
    run("Batch Orchestrator Service");
    run("Use it");
    // The example of a single essay has a spelling error, and the service corrects it.
    let answers = shell.answers();
    let essay = answers.first().and_then(|answer| answer["essay_id"].as_str());
    let essay = essay.expect("the first request is of one essay");
    eventually("the essay of the example is done", || {
        let status = shell.bos(&["essay", "status", essay, "-o", "json"]);
        let status: Value = serde_json::from_str(&status).unwrap();
        assert_ne!(status["state"], "failed", "{status}");
        status["phases"][0]["figures"]["corrections"] == 1
    });
    let last = answers.last().unwrap();
    assert_eq!((&last["client_ref"], &last["state"]), (&"s-1".into(), &"succeeded".into()), "{last}");
    // "Stop the service, create tokens": a token that a service without authentication creates is refused later.
    shell.execute("stop serve", "the stop that the page asks for");
    run("Authenticate callers");
}

/// A dead letter of a message that the database has applied, and a parked message.
fn set_aside(data: &std::path::Path) {
    let database = rusqlite::Connection::open(data.join("bos.db")).unwrap();
    database
        .execute_batch(
            "INSERT OR IGNORE INTO dead_letters (consumer, topic, part, off, error_code, value_sha256, at)
               SELECT consumer, topic, 0, local_log.id, 'wrong_type', x'00', local_log.at
               FROM local_log, local_log_positions
               WHERE topic LIKE '%.outcome.%' AND consumer LIKE 'batch-orchestrator%' LIMIT 1;
             INSERT INTO outbox (shard, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, state, not_before,
                                 error_code, created_at)
               SELECT 0, randomblob(16), hex(randomblob(8)), 1, topic, 'parked', value, headers, 2, at,
                      'record_too_large', at
               FROM local_log LIMIT 1;",
        )
        .unwrap();
}

#[test]
fn the_commands_for_messages_that_are_set_aside_run_as_they_are_printed() {
    let Some(shell) = Shell::new() else { return };
    let server = Server::on(&shell.data(), &[]);
    let essays = server.essays("essays", &[("anna.txt", "I recieve mail.\n")]);
    let ran = server.run(&["batch", "submit", &essays, "--wait", "--timeout", "1m"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut server = server;
    server.terminate();
    assert!(server.ended().success());
    for heading in ["Messages that Kafka does not accept", "Messages that could not be processed"] {
        for block in under("docs/operations.md", heading) {
            set_aside(&shell.data());
            shell.run(&block);
        }
    }
}
