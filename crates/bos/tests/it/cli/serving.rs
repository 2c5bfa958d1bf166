use std::net::TcpListener;
use std::process::Stdio;

use super::{Server, bos, run, steady};

#[test]
fn the_banner_is_short_and_printed_when_the_service_answers() {
    let server = Server::start();
    assert!(server.run(&["batch", "list"]).stdout.is_empty());
    assert!(server.banner.len() <= 8);
    assert!(!server.banner.concat().contains('\u{1b}'));
    let data = server.data().join("bos.db").display().to_string();
    let banner = steady(&server.banner.join("\n")).replace(&data, "[folder]/bos.db");
    insta::assert_snapshot!("banner", banner);
}

#[test]
fn a_busy_port_is_reported_with_the_next_step() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let ran = run(&["serve", "--port", &port, "--data-dir", folder.path().to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("--port 0"), "{}", ran.stderr);
    assert!(ran.stdout.is_empty());
}

#[test]
fn a_busy_port_for_probes_is_reported_with_the_next_step() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let probes = format!("probe_port={}", taken.local_addr().unwrap().port());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let ran = run(&["serve", "--port", "0", "--set", &probes, "--data-dir", data]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("--set probe_port=0"), "{}", ran.stderr);
    assert!(ran.stdout.is_empty());
}

#[test]
fn an_invalid_setting_gives_the_exit_code_for_configuration() {
    let ran = run(&["serve", "--set", "phase_timout=5m"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("phase_timeout"), "{}", ran.stderr);
}

#[test]
fn the_demo_runs_a_class_and_shows_the_essay_that_failed() {
    let ran = run(&["demo"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.is_empty(), "progress bars without a terminal: {}", ran.stderr);
    insta::assert_snapshot!("demo", steady(&ran.stdout));
}

#[test]
fn the_kept_data_of_a_demo_can_be_served() {
    let folder = tempfile::tempdir().unwrap();
    let ran = bos(&["demo", "--keep", "-o", "jsonl"]).env("TMPDIR", folder.path()).output().unwrap();
    assert!(ran.status.success());
    assert_eq!(String::from_utf8(ran.stdout).unwrap().lines().count(), 30);
    let said = String::from_utf8(ran.stderr).unwrap();
    let kept = said
        .lines()
        .find_map(|line| line.split("bos serve --data-dir ").nth(1))
        .expect("the folder is named");
    assert!(std::path::Path::new(kept).join("bos.db").is_file());
    assert!(kept.starts_with(folder.path().to_str().unwrap()));
}

#[test]
fn the_openapi_description_and_completions_are_printed() {
    let description = run(&["openapi"]).stdout;
    assert_eq!(
        description,
        include_str!("../../../../api/openapi.json"),
        "the defaults of the configuration"
    );
    let parsed: serde_json::Value = serde_json::from_str(&description).unwrap();
    assert!(parsed["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_ne!(run(&["openapi", "--set", "max_labels=3"]).stdout, description, "the limits in force");
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).stdout.contains("submit"), "{shell}");
    }
    assert_eq!(run(&["completions", "smallsh"]).code, 2);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child =
        bos(&["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.stderr.is_empty());
}
