use super::{bos, run};

#[test]
fn every_setting_is_shown_with_its_origin_and_secrets_are_redacted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bos.toml");
    std::fs::write(&file, "port = 5001\n").unwrap();
    let shown =
        bos(&["config", "show", "--origin", "--config", file.to_str().unwrap(), "--set", "max_essays=30"])
            .env("CONTENT_SERVICE_URL", "http://content:8001/v1/content")
            .env("BATCH_ORCHESTRATOR_SERVICE_GATEWAY_TOKEN", "a-secret-of-many-letters")
            .output()
            .unwrap();
    assert_eq!(shown.status.code(), Some(0), "{}", String::from_utf8_lossy(&shown.stderr));
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(!shown.contains("a-secret"), "{shown}");
    let told = ["host", "port", "max_essays", "content_service_url", "gateway_token", "database_url"];
    let lines = shown.lines().filter(|line| {
        line.starts_with("key ") || told.iter().any(|key| line.split_whitespace().next() == Some(key))
    });
    let lines = lines.map(str::trim_end).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!("settings", lines.replace(file.to_str().unwrap(), "[file]"));
}

#[test]
fn settings_can_be_printed_as_jsonl() {
    let shown = run(&["config", "show", "-o", "jsonl"]);
    let rows: Vec<serde_json::Value> =
        shown.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.contains(&serde_json::json!({"key": "port", "value": "5000"})), "{}", shown.stdout);
}

#[test]
fn a_valid_configuration_is_reported_as_valid() {
    let checked = run(&["config", "check"]);
    assert_eq!((checked.code, checked.stdout.as_str()), (0, "The configuration is valid.\n"));
}

#[test]
fn all_faults_of_a_configuration_are_reported_together() {
    let checked =
        run(&["config", "check", "--set", "phase_timout=5m", "--set", "port=many", "--host", "here"]);
    assert_eq!(checked.code, 2);
    assert!(checked.stdout.is_empty());
    insta::assert_snapshot!("wrong_settings", checked.stderr);
}

#[test]
fn a_dotenv_of_another_program_in_the_folder_prevents_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for content in
        ["GREETING=it's\n", "A=1\nMOTD=hello world\n", "X={\"a\": 1}\n", "\u{feff}LOG_LEVEL=warning\n"]
    {
        std::fs::write(folder.path().join(".env"), content).unwrap();
        let checked = bos(&["config", "check"]).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.code(), Some(0), "{content}: {said}");
    }
    std::fs::write(folder.path().join(".env"), "A='1\n\nLOG_LEVEL='warning\n").unwrap();
    let checked = bos(&["config", "check"]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(said.contains("\n  .env:3 LOG_LEVEL has a quotation mark that is not closed"), "{said}");
}

#[test]
fn a_content_service_over_https_is_refused_at_the_start_with_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let served = bos(&["serve", "--port", "0", "--data-dir", folder.path().to_str().unwrap()])
        .env("CONTENT_SERVICE_URL", "https://content.example/v1/content")
        .output()
        .unwrap();
    let said = String::from_utf8(served.stderr).unwrap();
    assert_eq!(served.status.code(), Some(2), "{said}");
    assert!(said.contains("CONTENT_SERVICE_URL is an https:// URL"), "{said}");
    assert!(said.contains("name a proxy near by that forwards"), "{said}");
}

#[test]
fn a_command_line_without_a_command_shows_the_help() {
    let ran = run(&[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("Usage: bos") && ran.stderr.contains("Examples:"), "{}", ran.stderr);
}

fn ran(arguments: &[&str]) -> (i32, String, String) {
    let ran = run(arguments);
    (ran.code, ran.stdout, ran.stderr)
}

#[test]
fn show_prints_every_setting_with_its_origin() {
    let (exit, out, err) = ran(&["config", "show", "--origin", "--port", "7777", "--set", "max_labels=3"]);
    assert_eq!(exit, 0, "{err}");
    let line = |key: &str| out.lines().find(|line| line.trim_start().starts_with(key)).unwrap().to_owned();
    assert!(line("port").contains("7777") && line("port").contains("flag --port"));
    assert!(line("max_labels").contains("flag --set max_labels"));
    assert!(line("host").contains("default"));
    assert!(!out.contains('\u{1b}'));

    let (_, json, _) = ran(&["config", "show", "-o", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert!(rows.iter().any(|row| row["key"] == "port" && row["value"] == "5000"));
}

#[test]
fn check_exits_2_and_reports_every_fault() {
    assert_eq!(ran(&["config", "check"]).0, 0);
    let (exit, out, err) = ran(&["config", "check", "--set", "prot=1", "--port", "x"]);
    assert_eq!((exit, out.as_str()), (2, ""));
    assert!(err.contains("did you mean port?") && err.contains("flag --port"), "{err}");
    assert!(ran(&["config", "check", "--port", "x"]).2.contains("the default, 5000"));
    let (exit, _, err) = ran(&["config", "check", "--set", "gateway_token=hunter2"]);
    assert!(exit == 2 && err.contains("gateway_token_file") && !err.contains("hunter2"), "{err}");
    assert_eq!(ran(&["config", "chek"]).0, 2);
}
