//! `bos token`, and client commands against a protected server.

use serde_json::Value;

use super::{Guarded, id_of, make};
use crate::databases::on_postgres;
use crate::program::{Ran, Server, bos, run};

fn rows(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn client_commands_send_the_token_they_are_given() {
    let (guarded, [ann, reader]) =
        Guarded::with_tokens([&["--user", "ann"], &["--user", "ann", "--scope", "read"]]);
    let essays = guarded.server.essays("class", &[("anna.txt", "I recieve mail.\n")]);
    let submit = ["batch", "submit", &essays, "--wait", "--timeout", "1m"];
    let ran = guarded.run_as(&ann, &submit);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("anna"), "{}", ran.stdout);
    assert_eq!(rows(&guarded.run_as(&reader, &["batch", "list", "-o", "json"])).len(), 1);

    let without = guarded.server.run(&submit);
    assert_eq!(without.code, 1);
    assert!(
        without.stderr.contains("BOS_TOKEN") && without.stderr.contains("problems/unauthenticated"),
        "{}",
        without.stderr
    );
    let read_only = guarded.run_as(&reader, &submit);
    assert_eq!(read_only.code, 1);
    assert!(read_only.stderr.contains("write"), "{}", read_only.stderr);
    let wrong = guarded.run_as("hunter2", &["batch", "list"]);
    assert!(wrong.code == 1 && !wrong.stderr.contains("hunter2"), "{}", wrong.stderr);
    for unsendable in ["", "hunter2\nX-User-ID: eve", "hunter2 hunter2"] {
        let refused = guarded.run_as(unsendable, &["batch", "list"]);
        assert!(refused.code == 2 && !refused.stderr.contains("hunter2"), "{}", refused.stderr);
    }
}

#[cfg(unix)]
#[test]
fn a_token_file_must_be_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let (guarded, [ann]) = Guarded::with_tokens([&["--user", "ann"]]);
    let file = guarded.folder.path().join("token");
    std::fs::write(&file, format!("{ann}\n")).unwrap();
    let file = file.to_str().unwrap();
    let list = |token: Option<&str>| -> Ran {
        let mut command = bos(&["batch", "list", "--server", &guarded.server.address]);
        command.env("BOS_TOKEN_FILE", file);
        token
            .into_iter()
            .fold(&mut command, |command, token| command.env("BOS_TOKEN", token))
            .output()
            .unwrap()
            .into()
    };
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let readable = list(None);
    assert!(readable.code == 2 && readable.stderr.contains("every user can read"), "{}", readable.stderr);
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(list(None).code, 0);
    assert_eq!(guarded.server.run(&["batch", "list", "--token-file", file]).code, 0);
    let both = list(Some(&ann));
    assert!(
        both.code == 2 && both.stderr.contains("both give a token") && !both.stderr.contains(&ann),
        "{}",
        both.stderr
    );
}

#[test]
fn tokens_are_created_listed_and_revoked_through_a_server() {
    let (guarded, [admin]) = Guarded::with_tokens([&["--user", "root", "--scope", "admin"]]);
    let arguments = [
        "token",
        "create",
        "--user",
        "ann",
        "--org",
        "school",
        "--expires",
        "90d",
        "--note",
        "gradebook",
        "-o",
        "json",
    ];
    let ran = guarded.run_as(&admin, &arguments);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let made: Value = serde_json::from_str(&ran.stdout).unwrap();
    let ann = made["token"].as_str().unwrap();
    assert_eq!(guarded.run_as(ann, &["batch", "list"]).code, 0);
    assert_eq!(guarded.run_as(ann, &["token", "list"]).code, 1, "not an administrator");

    let listed = rows(&guarded.run_as(&admin, &["token", "list", "--user", "ann", "-o", "json"]));
    assert_eq!(
        (listed.len(), &listed[0]["org_id"], &listed[0]["note"]),
        (1, &"school".into(), &"gradebook".into())
    );
    assert!(listed[0].get("token").is_none() && listed[0].get("sha256").is_none());
    let table = guarded.run_as(&admin, &["token", "list"]).stdout;
    let header = ["token", "user", "org", "scopes", "status", "created", "expires", "note"];
    assert_eq!(table.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(), header);
    assert_eq!(table.lines().count(), 3, "{table}");

    let revoked = guarded.run_as(&admin, &["token", "revoke", id_of(ann)]);
    assert_eq!(revoked.code, 0, "{}", revoked.stderr);
    assert_eq!(guarded.run_as(ann, &["batch", "list"]).code, 1);
    let unknown = guarded.run_as(&admin, &["token", "revoke", "0123456789abcdef"]);
    assert_eq!(unknown.code, 3, "{}", unknown.stderr);
    let whole = guarded.run_as(&admin, &["token", "revoke", ann]);
    assert!(whole.code == 3 && !whole.stderr.contains(ann), "{}", whole.stderr);
}

#[test]
fn token_commands_ask_the_running_server_or_else_open_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    // No server listens on port 1.
    let here = |arguments: &[&str]| run(&[arguments, &["--port", "1", "--data-dir", data]].concat());
    assert_eq!(rows(&here(&["token", "list", "-o", "json"])), Vec::<Value>::new());
    assert_eq!(here(&["token", "revoke", "0123456789abcdef"]).code, 3);
    assert!(!std::path::Path::new(data).exists(), "list and revoke create no database");
    let token = make(&folder, &["--user", "root", "--scope", "admin"]);
    assert_eq!(rows(&here(&["token", "list", "-o", "json"])).len(), 1);

    let server = Server::on(&folder.path().join("data"), &["auth=token"]);
    let held = here(&["token", "list"]);
    assert!(held.code == 2 && held.stderr.contains("--server"), "{}", held.stderr);
    let port = server.socket().port().to_string();
    let asked = |token: &str| -> Ran {
        let arguments = ["token", "list", "--port", &port, "--data-dir", data, "-o", "json"];
        bos(&arguments).env("BOS_TOKEN", token).output().unwrap().into()
    };
    assert_eq!(rows(&asked(&token)).len(), 1, "the server at the configured address was asked");
    let refused = asked("bos_wrong");
    assert!(refused.code == 1 && refused.stderr.contains("problems/invalid_token"), "{}", refused.stderr);
    server.kill();
    let named = run(&["token", "list", "--server", "http://127.0.0.1:1", "--data-dir", data]);
    assert_eq!(named.code, 6, "with --server only that server is asked: {}", named.stderr);
    assert_eq!(here(&["token", "revoke", id_of(&token)]).code, 0);
    assert_eq!(rows(&here(&["token", "list", "-o", "json"]))[0]["status"], "revoked");
}

#[test]
fn the_refusal_of_a_command_line_names_every_wrong_flag() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let create = |arguments: &[&str]| {
        run(&[&["token", "create", "--port", "1", "--data-dir", data], arguments].concat())
    };
    let ran = create(&["--user", "", "--expires", "soon"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("--user is not acceptable") && ran.stderr.contains("--expires"),
        "{}",
        ran.stderr
    );
    assert_eq!(create(&["--user", "ann", "--scope", "root"]).code, 2);
    assert_eq!(create(&[]).code, 2);
    assert!(!folder.path().join("bos.db").exists());
}

#[tokio::test]
async fn with_postgresql_token_commands_open_the_database() {
    on_postgres(async |_, url| {
        let here = |arguments: &[&str]| -> Ran {
            let mut command = bos(arguments);
            command.env("DATABASE_URL", &url).env("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092");
            command.output().unwrap().into()
        };
        let made = here(&["token", "create", "--user", "ann", "--expires", "1h"]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        let id = id_of(made.stdout.trim()).to_owned();
        assert_eq!(
            rows(&here(&["token", "list", "--user", "ann", "-o", "json"]))[0]["token_id"],
            id.as_str()
        );
        assert_eq!(here(&["token", "revoke", &id]).code, 0);
        assert_eq!(rows(&here(&["token", "list", "-o", "json"]))[0]["status"], "revoked");
    })
    .await;
}
