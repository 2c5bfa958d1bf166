//! Operators' commands on an embedded installation, whose file one process has open at a time.

use serde_json::Value;

use super::{Server, run};

fn findings(stdout: &str) -> Vec<(String, String)> {
    let rows = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let word = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.map(|row| (word(&row, "check"), word(&row, "state"))).collect()
}

#[test]
fn the_doctor_finds_no_fault_on_a_new_machine_and_creates_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let ran = run(&["doctor", "-o", "jsonl", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(!data.exists());
    let checks: Vec<String> = findings(&ran.stdout).into_iter().map(|(check, _)| check).collect();
    assert_eq!(checks, ["configuration", "database", "event bus", "content service", "disk"]);
}

#[test]
fn the_doctor_asks_the_running_server_and_opens_the_file_when_none_runs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::on(&data, &[]);
    let data = data.to_str().unwrap();
    let port = server.address.rsplit_once(':').unwrap().1;
    let ran = run(&["doctor", "-o", "jsonl", "--data-dir", data, "--port", port]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(findings(&ran.stdout).contains(&("server".to_owned(), "ok".to_owned())), "{}", ran.stdout);

    // No server answers at another port, and the file is still locked.
    let ran = run(&["doctor", "-o", "jsonl", "--data-dir", data, "--port", "1"]);
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
    assert!(findings(&ran.stdout).contains(&("database".to_owned(), "failure".to_owned())), "{}", ran.stdout);
    assert!(ran.stdout.contains("in use by another bos process"), "{}", ran.stdout);

    server.kill();
    let ran = run(&["doctor", "-o", "jsonl", "--data-dir", data]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let checks: Vec<String> = findings(&ran.stdout).into_iter().map(|(check, _)| check).collect();
    for check in ["schema", "staged texts", "outbox", "parked", "timers", "dead letters"] {
        assert!(checks.contains(&check.to_owned()), "{check}: {}", ran.stdout);
    }
}

#[test]
fn a_command_that_finds_no_server_opens_the_file_and_reports_a_file_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let path = data.to_str().unwrap();
    // No server listens on port 1.
    let missing = run(&["outbox", "pending", "--port", "1", "--data-dir", path]);
    assert_eq!(missing.code, 2, "{}", missing.stderr);
    assert!(missing.stderr.contains("--data-dir") && !data.exists(), "{}", missing.stderr);

    let server = Server::on(&data, &[]);
    for command in [["outbox", "pending"], ["dead-letter", "list"]] {
        let ran = run(&[command.as_slice(), &["--port", "1", "--data-dir", path]].concat());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("in use by another bos process; stop it"), "{}", ran.stderr);
    }
    server.kill();
    for (command, said) in
        [(["outbox", "pending"], "0 pending, 0 parked"), (["dead-letter", "list"], "0 of 0 dead letters")]
    {
        let ran = run(&[command.as_slice(), &["--port", "1", "--data-dir", path]].concat());
        assert_eq!((ran.code, ran.stdout.trim()), (0, said), "{}", ran.stderr);
    }
}

#[test]
fn operators_commands_ask_the_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::on(&data, &[]);
    let port = server.socket().port().to_string();
    let here = |arguments: &[&str]| {
        run(&[arguments, &["--port", &port, "--data-dir", data.to_str().unwrap()]].concat())
    };
    let commands: [(&[&str], i32, &str); 8] = [
        (&["outbox", "pending"], 0, "0 pending, 0 parked"),
        (&["outbox", "retry", "3/1"], 3, "not_parked"),
        (&["outbox", "skip", "3/1"], 3, "not_parked"),
        (&["dead-letter", "list"], 0, "0 of 0 dead letters"),
        (&["dead-letter", "show", "huleedu.els.batch.phase.outcome.v1/0/1"], 3, ""),
        (&["dead-letter", "replay", "huleedu.els.batch.phase.outcome.v1/0/1"], 3, "not_found"),
        (&["dead-letter", "drop", "huleedu.els.batch.phase.outcome.v1/0/1"], 3, "not_found"),
        (&["token", "list"], 0, ""),
    ];
    let assert_all = || {
        for (command, code, said) in commands {
            let ran = here(command);
            assert_eq!(ran.code, code, "{command:?}: {}{}", ran.stdout, ran.stderr);
            assert!(ran.stdout.contains(said), "{command:?}: {}", ran.stdout);
        }
    };
    assert_all();
    for (command, said) in [(["outbox", "pending"], "0 pending"), (["dead-letter", "list"], "0 of 0")] {
        let named = server.run(&command);
        assert!(named.code == 0 && named.stdout.contains(said), "{}{}", named.stdout, named.stderr);
    }
    server.kill();
    // The same commands give the same answers from the file.
    assert_all();
    let named = run(&["outbox", "pending", "--server", "http://127.0.0.1:1"]);
    assert_eq!(named.code, 6, "a named server is asked and nothing else: {}", named.stderr);
}

#[test]
fn a_file_that_no_process_has_open_is_opened_although_a_server_of_another_folder_listens() {
    let folder = tempfile::tempdir().unwrap();
    let (in_use, other) = (folder.path().join("served"), folder.path().join("other"));
    let made =
        run(&["token", "create", "--user", "anna", "--port", "1", "--data-dir", other.to_str().unwrap()]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let server = Server::on(&in_use, &[]);
    let port = server.socket().port().to_string();
    let users = |data: &std::path::Path| {
        let ran =
            run(&["token", "list", "-o", "jsonl", "--port", &port, "--data-dir", data.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout.lines().filter(|line| line.contains("anna")).count()
    };
    assert_eq!((users(&other), users(&in_use)), (1, 0));
}
