use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::Value;

use crate::program::eventually;

use super::{Server, bos, run, run_with_input, steady};

const GOOD: &str = "I recieve alot of mail. It is becuase I write alot myself.\n";
const FINE: &str = "I receive a lot of mail.\n";

/// The last id in the output.
fn id_in(text: &str) -> String {
    let mut words = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    words.rfind(|word| word.len() == 36).expect("no id was printed").to_owned()
}

#[test]
fn a_class_is_submitted_and_its_results_are_shown() {
    let server = Server::start();
    let essays = server.essays("good", &[("anna.txt", GOOD), ("bert.md", FINE)]);
    let ran = server.run(&["batch", "submit", &essays, "--course", "ENG5", "--wait", "--timeout", "1m"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!("submitted", steady(&ran.stdout));
    insta::assert_snapshot!("progress", steady(&ran.stderr));

    let batch = id_in(&ran.stderr);
    let status = server.run(&["batch", "status", &batch]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    insta::assert_snapshot!("status", steady(&status.stdout));
    let watched = server.run(&["batch", "watch", &batch]);
    assert_eq!((watched.code, watched.stdout), (0, status.stdout));

    let list = server.run(&["batch", "list"]);
    insta::assert_snapshot!("list", steady(&list.stdout));
    let essays = server.run(&["batch", "essays", &batch]);
    insta::assert_snapshot!("essays", steady(&essays.stdout));

    let results = server.run(&["batch", "results", &batch, "-o", "jsonl"]);
    let rows: Vec<Value> = results.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows[0]["essay"], "anna");
    assert_eq!(rows[0]["corrected"][0], serde_json::json!({"from": "recieve", "to": "receive"}));
    assert_eq!(rows[1]["corrections"], 0);
    let failed = server.run(&["batch", "results", &batch, "--outcome", "failed", "-o", "json"]);
    assert_eq!(failed.stdout.trim(), "[]");
}

#[test]
fn what_a_folder_holds_besides_essays_is_named_before_anything_is_sent_and_the_exit_code_says_so() {
    let server = Server::start();
    let others =
        [("._anna.txt", "x"), (".hidden.txt", GOOD), ("carl.pdf", "not really a pdf"), ("BO.TXT", FINE)];
    let essays = server.essays("mixed", &[others.as_slice(), &[("anna.txt", GOOD)]].concat());
    std::fs::create_dir(std::path::Path::new(&essays).join("dora")).unwrap();
    let named = [
        "._anna.txt: is a file in which macOS",
        ".hidden.txt: is hidden",
        "carl.pdf: is not a",
        "dora: is a folder",
    ];
    for wait in [&["--wait", "--quiet"][..], &["-o", "json"]] {
        let ran = server.run(&[&["batch", "submit", &essays], wait].concat());
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        for told in named {
            assert!(ran.stderr.contains(told), "{told} in: {}", ran.stderr);
        }
    }
    let batches = server.run(&["batch", "list", "-o", "json"]).stdout;
    let batches: Value = serde_json::from_str(&batches).unwrap();
    assert!(batches.as_array().unwrap().iter().all(|batch| batch["essays"]["total"] == 2), "{batches}");

    let pdf = format!("{essays}/carl.pdf");
    for arguments in [["batch", "submit", &pdf], ["essay", "trigger", &pdf]] {
        let ran = server.run(&arguments);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(
            ran.stderr.contains("nothing was sent\n") && ran.stderr.contains("carl.pdf: is not a"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn the_refusal_of_a_batch_lists_every_fault() {
    let server = Server::start();
    let essays = server.essays("bad", &[("anna.txt", GOOD), ("blank.txt", " \n"), ("empty.md", "")]);
    let ran = server.run(&["batch", "submit", &essays]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.is_empty());
    insta::assert_snapshot!("refused", steady(&ran.stderr));
    assert_eq!(server.run(&["batch", "list", "-o", "json"]).stdout.trim(), "[]");
}

#[test]
fn skipped_essays_give_the_exit_code_for_some_failed() {
    let server = Server::start();
    let essays = server.essays("mixed", &[("anna.txt", GOOD), ("blank.txt", " \n")]);
    let announced = server.run(&["batch", "submit", &essays, "--on-invalid", "skip", "--phases", "none"]);
    assert_eq!(announced.code, 4, "{}", announced.stderr);
    insta::assert_snapshot!("skipped", steady(&announced.stdout));
    let waited = server.run(&["batch", "submit", &essays, "--on-invalid", "skip", "--wait"]);
    assert_eq!(waited.code, 4, "{}", waited.stderr);
    assert!(waited.stdout.contains("2 essays, 1 done, 1 failed (blank: blank text)"), "{}", waited.stdout);
}

#[test]
fn an_invalid_command_line_is_reported_before_anything_is_sent() {
    let server = Server::start();
    let essays = server.essays("latin", &[]);
    std::fs::write(std::path::Path::new(&essays).join("cafe.txt"), b"caf\xe9").unwrap();
    let whole = server.essays("whole", &[("anna.txt", GOOD)]);
    for (arguments, told) in [
        (vec!["batch", "submit", &essays], "cafe.txt: is not UTF-8 at byte 3"),
        (vec!["batch", "submit", "absent.txt"], "absent.txt: cannot be read"),
        (
            vec!["batch", "submit", &essays, "--phases", "spelcheck"],
            "expected none or a list of spellcheck, nlp",
        ),
        (vec!["batch", "submit", &essays, "--course", "ENG5", "--language", "sv"], "cannot be used with"),
        (vec!["batch", "submit", &essays, "--timeout", "5m"], "--wait"),
        (vec!["batch", "submit", &whole, "--label", "a=1", "--label", "a=2"], "--label a is given twice"),
        (vec!["batch", "status", "17"], "invalid value '17'"),
        (vec!["batch", "watch", "0197c5e0-7d1f-7a3b-9c55-2f6f4a1b0c3d", "--timeout", "5"], "30s or 5m"),
    ] {
        let ran = server.run(&arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{arguments:?}: {}", ran.stderr);
    }
    assert_eq!(run(&["batch", "list", "--server", "localhost"]).code, 2);
}

#[test]
fn an_unknown_id_has_an_exit_code_of_its_own() {
    let server = Server::start();
    for arguments in [
        ["batch", "status", "0197c5e0-7d1f-7a3b-9c55-2f6f4a1b0c3d"],
        ["batch", "results", "0197c5e0-7d1f-7a3b-9c55-2f6f4a1b0c3d"],
        ["essay", "status", "0197c5e0-7d1f-7a3b-9c55-2f6f4a1b0000"],
    ] {
        let ran = server.run(&arguments);
        assert_eq!(ran.code, 3, "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_wait_that_times_out_names_the_command_that_continues_it() {
    let folder = tempfile::tempdir().unwrap();
    // Without companions no registration is answered, so the batch makes no progress.
    let server = Server::on(&folder.path().join("data"), &["companions=none"]);
    let essays = server.essays("good", &[("anna.txt", GOOD)]);
    let submit = ["batch", "submit", &essays, "--phases", "none", "--wait", "--timeout", "300ms"];
    let ran = server.run(&submit);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    insta::assert_snapshot!("timed_out", steady(&ran.stderr));
    let watched = server.run(&["batch", "watch", &id_in(&ran.stderr), "--timeout", "300ms"]);
    assert_eq!(watched.code, 5, "{}", watched.stderr);
}

#[test]
fn a_quiet_command_prints_only_the_result() {
    let server = Server::start();
    let essays = server.essays("good", &[("anna.txt", GOOD)]);
    let ran = server.run(&["batch", "submit", &essays, "--quiet", "--wait", "-o", "jsonl"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
}

#[test]
fn variables_replace_flags() {
    let server = Server::start();
    let listed = bos(&["batch", "list"])
        .env("BATCH_ORCHESTRATOR_SERVICE_SERVER", &server.address)
        .env("BATCH_ORCHESTRATOR_SERVICE_OUTPUT", "json")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap().trim(), "[]");
}

#[test]
fn an_unreachable_server_is_reported_with_the_next_step() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = run(&["batch", "list", "--server", &format!("http://{free}")]);
    assert_eq!(ran.code, 6);
    insta::assert_snapshot!("unreachable", steady(&ran.stderr));
}

/// The user learns why the command takes long.
#[test]
fn a_retried_request_is_reported_once_and_not_with_quiet() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let body =
            r#"{"title":"The store cannot serve","status":503,"code":"store_unavailable","retryable":true}"#;
        let answer = format!(
            "HTTP/1.1 503 Later\r\nRetry-After: 0\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        for mut stream in listener.incoming().map(Result::unwrap) {
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let ran = run(&["batch", "list", "--server", &server]);
    let note = "bos: The store cannot serve (store_unavailable); retrying\n";
    assert_eq!((ran.code, ran.stderr.matches(note).count()), (1, 1), "{}", ran.stderr);
    assert!(!run(&["batch", "list", "--quiet", "--server", &server]).stderr.contains("retrying"));
}

#[test]
fn a_single_essay_is_sent_directly_to_the_spell_checker() {
    let server = Server::start();
    let ran = run_with_input(&["essay", "trigger", "-", "--server", &server.address], GOOD);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!("triggered", steady(&ran.stdout));
    let essay = id_in(&ran.stdout);
    eventually("the essay is done", || {
        let status = server.run(&["essay", "status", &essay, "-o", "json"]);
        assert_eq!(status.code, 0, "{}", status.stderr);
        serde_json::from_str::<Value>(&status.stdout).unwrap()["state"] == "succeeded"
    });
    insta::assert_snapshot!("essay", steady(&server.run(&["essay", "status", &essay]).stdout));
}
