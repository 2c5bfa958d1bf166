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
fn what_works_on_the_file_says_to_stop_the_server_first() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let path = data.to_str().unwrap();
    let missing = run(&["outbox", "pending", "--data-dir", path]);
    assert_eq!(missing.code, 2, "{}", missing.stderr);
    assert!(missing.stderr.contains("--data-dir") && !data.exists(), "{}", missing.stderr);

    let server = Server::on(&data, &[]);
    for command in [["outbox", "pending"], ["dead-letter", "list"]] {
        let ran = run(&[command.as_slice(), &["--data-dir", path]].concat());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("in use by another bos process; stop it"), "{}", ran.stderr);
    }
    server.kill();
    for (command, said) in
        [(["outbox", "pending"], "0 pending, 0 parked"), (["dead-letter", "list"], "0 of 0 dead letters")]
    {
        let ran = run(&[command.as_slice(), &["--data-dir", path]].concat());
        assert_eq!((ran.code, ran.stdout.trim()), (0, said), "{}", ran.stderr);
    }
}
