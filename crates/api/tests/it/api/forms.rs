//! Forms as clients of several languages write them, with the exact bytes that they send.
//!
//! Each file of `forms/` is the body of one request with the field `name` and the files of [`NAMES`], each with the text
//! `Text of <file name>\n`, sent by the client that the file is named after. Only the boundary was replaced, by `XX`.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Api};

/// The names of the files that every client sent.
const NAMES: [&str; 8] = [
    "plain.txt",
    "café.txt",
    "naïve \"quoted\".txt",
    "two words.md",
    "50% off.txt",
    "back\\slash.txt",
    "semi;colon, comma.txt",
    "日本語.txt",
];

/// The body of each client.
macro_rules! bodies {
    ($($client:literal),+ $(,)?) => {
        [$(($client, include_bytes!(concat!("forms/", $client, ".multipart")).as_slice())),+]
    };
}

const CLIENTS: [(&str, &[u8]); 9] = bodies![
    "curl-7.88",
    "curl-7.88-form-escape",
    "requests-2.34",
    "requests-2.22",
    "httpx-0.28",
    "aiohttp-3.14",
    "aiohttp-3.14-unquoted",
    "chromium-156",
    "node-20",
];

async fn send(api: &Api, body: impl Into<Vec<u8>>) -> Answer {
    api.post("/v1/batch", "multipart/form-data; boundary=XX", body.into()).await
}

/// A form with one part: its header fields and its content.
fn part(header: &[u8], content: &[u8]) -> Vec<u8> {
    [b"--XX\r\n".as_slice(), header, b"\r\n\r\n", content, b"\r\n--XX--\r\n"].concat()
}

/// A form with one file whose `Content-Disposition` ends with this.
fn file(disposition: &[u8]) -> Vec<u8> {
    part(&[b"Content-Disposition: form-data; name=\"files\"; ", disposition].concat(), b"Hello there.")
}

/// A form with one file in this transfer encoding.
fn encoded(encoding: &str, content: &str) -> Vec<u8> {
    let header = format!(
        "Content-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\nContent-Transfer-Encoding: {encoding}"
    );
    part(header.as_bytes(), content.as_bytes())
}

/// The name of the only essay.
fn name_of(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    answer.json()["essays"][0]["client_ref"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_client_submits_the_same_names_and_texts() {
    let api = Api::open().await;
    for (client, body) in CLIENTS {
        let answer = send(&api, body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{client}: {}", answer.body);
        let told = answer.json();
        assert_eq!(api.get(told["links"]["batch"].as_str().unwrap()).await.json()["name"], "9B", "{client}");
        let essays = told["essays"].as_array().unwrap();
        assert_eq!(essays.len(), NAMES.len(), "{client}");
        for (essay, name) in essays.iter().zip(NAMES) {
            let stem = name.rsplit_once('.').unwrap().0;
            assert_eq!(essay["client_ref"], stem, "{client}");
            let shown = api.get(&format!("/v1/essay/{}", essay["essay_id"].as_str().unwrap())).await.json();
            assert_eq!(shown["size_bytes"], format!("Text of {name}\n").len(), "{client}: {name}");
        }
    }
}

/// Bodies differ, and the content is the same: so a client that is replaced by another can repeat its request.
#[tokio::test]
async fn the_form_of_every_client_is_the_same_request() {
    let api = Api::open().await;
    for (client, body) in CLIENTS {
        let request = axum::http::Request::post("/v1/batch")
            .header("content-type", "multipart/form-data; boundary=XX")
            .header("idempotency-key", "k")
            .body(axum::body::Body::from(body))
            .unwrap();
        assert_eq!(api.send(request).await.status, StatusCode::ACCEPTED, "{client}");
    }
    assert_eq!(api.stored().await, 1);
}

#[tokio::test]
async fn a_file_name_is_decoded_from_every_form_that_an_rfc_defines() {
    let api = Api::open().await;
    for (disposition, name) in [
        (b"filename*=utf-8''caf%C3%A9.txt".as_slice(), "café"),
        (b"filename=\"caf\xe9.txt\"", "café"),
        (b"filename=\"caf%C3%A9.txt\"", "café"),
        (b"filename=\"a%22b.txt\"", "a\"b"),
        (b"filename=\"caf_.txt\"; filename*=utf-8''caf%C3%A9.txt", "café"),
    ] {
        assert_eq!(name_of(&send(&api, file(disposition)).await), name);
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_read_is_refused_with_its_part() {
    let api = Api::open().await;
    for disposition in [
        b"filename=\"O\x92Brien.txt\"".as_slice(),
        b"filename=\"caf%E9.txt\"",
        b"filename*=shift_jis''%83e.txt",
        b"filename*0=\"a\"; filename*1=\".txt\"",
    ] {
        let problem = send(&api, file(disposition)).await.problem(422, "invalid");
        let error = &problem["errors"][0];
        assert_eq!(
            (&error["code"], &error["pointer"]),
            (&json!("malformed_form"), &json!("/essays/0/client_ref"))
        );
        let detail = error["detail"].as_str().unwrap();
        assert!(detail.starts_with("part 1 of the form (`files`): its file name "), "{detail}");
    }
    for header in
        [b"Content-Type: text/plain".as_slice(), b"Content-Disposition: attachment; filename=\"a.txt\""]
    {
        let problem = send(&api, part(header, b"Hello there.")).await.problem(400, "malformed_form");
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.starts_with("part 1 of the form has "), "{detail}");
    }
    let newline = send(&api, file(b"filename=\"a%0Ab.txt\"")).await.problem(422, "invalid");
    assert_eq!(newline["errors"][0]["code"], "control_character");
    let long = format!("filename=\"{}.txt\"", "a".repeat(256));
    let long = send(&api, file(long.as_bytes())).await.problem(422, "invalid");
    assert_eq!(long["errors"][0]["code"], "too_long");
    assert_eq!(api.stored().await, 0);
}

#[tokio::test]
async fn a_part_is_decoded_from_its_transfer_encoding_or_refused() {
    let api = Api::open().await;
    for (encoding, content) in [
        ("base64", "SGVsbG8gdGhl\r\ncmUu"),
        ("quoted-printable", "Hello=20th=\r\nere."),
        ("8bit", "Hello there."),
        ("Binary", "Hello there."),
    ] {
        let answer = send(&api, encoded(encoding, content)).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        let essay = answer.json()["essays"][0]["essay_id"].as_str().unwrap().to_owned();
        let size = &api.get(&format!("/v1/essay/{essay}")).await.json()["size_bytes"];
        assert_eq!(*size, "Hello there.".len(), "{encoding}");
    }
    for (encoding, content, code) in [
        ("base64", "Hello there.", "malformed_form"),
        ("quoted-printable", "50 =of", "malformed_form"),
        ("gzip", "Hello there.", "unsupported_encoding"),
    ] {
        let problem = send(&api, encoded(encoding, content)).await.problem(422, "invalid");
        let error = &problem["errors"][0];
        assert_eq!((&error["code"], &error["pointer"]), (&json!(code), &json!("/essays/0/text")));
        assert_eq!(error["client_ref"], "a");
        assert!(error["detail"].as_str().unwrap().starts_with("part 1 of the form (`files`) "), "{problem}");
    }
    let header = b"Content-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\nContent-Type: text/plain; charset=utf-16";
    let problem = send(&api, part(header, b"Hello there.")).await.problem(422, "invalid");
    assert_eq!(problem["errors"][0]["code"], "unsupported_media_type");
}

#[tokio::test]
async fn a_document_that_is_named_like_a_text_is_refused() {
    let api = Api::open().await;
    for (name, content) in [
        ("carl.pdf", b"not really a pdf".as_slice()),
        ("._a.txt", b"x"),
        ("a.txt", b"%PDF-1.7 "),
        ("b.md", b"PK\x03\x04"),
        ("c.txt", b"{\\rtf1"),
    ] {
        let header = format!("Content-Disposition: form-data; name=\"files\"; filename=\"{name}\"");
        let problem = send(&api, part(header.as_bytes(), content)).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["code"], "unsupported_file", "{name}");
    }
}

#[tokio::test]
async fn an_input_without_a_chosen_file_is_no_essay() {
    let api = Api::open().await;
    let header = b"Content-Disposition: form-data; name=\"files\"; filename=\"\"\r\nContent-Type: application/octet-stream";
    send(&api, part(header, b"")).await.problem(422, "no_essays");
}

/// All essays that repeat a name are named at once, in every format.
#[tokio::test]
async fn names_that_are_equal_or_look_alike_are_refused() {
    let api = Api::open().await;
    let names = ["anna", "bo", "anna", "Zo\u{eb}", "Zoe\u{308}", "Anna", "anna"];
    let essay = |name: &str| json!({"client_ref": name, "text": "Hello there."});
    let essays: Vec<Value> =
        names.iter().map(|name| essay(name)).chain([json!({"text": "a"}), json!({"text": "b"})]).collect();
    let lines: Vec<String> = essays.iter().map(Value::to_string).collect();
    let parts = names.map(|name| {
        format!("--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x/{name}.txt\"\r\n\r\nHello there.\r\n")
    });
    let answers = [
        api.post_json("/v1/batch", &json!({"essays": essays})).await,
        api.post("/v1/batch", "application/x-ndjson", format!("{{}}\n{}", lines.join("\n"))).await,
        send(&api, format!("{}--XX--\r\n", parts.concat())).await,
    ];
    for answer in answers {
        let problem = answer.problem(422, "invalid");
        let told: Vec<(&str, &str)> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| (error["code"].as_str().unwrap(), error["pointer"].as_str().unwrap()))
            .collect();
        let expected = [2, 4, 6].map(|index| format!("/essays/{index}/client_ref"));
        let expected: Vec<_> =
            expected.iter().map(|place| ("duplicate_client_ref", place.as_str())).collect();
        assert_eq!(told, expected);
    }
    assert_eq!(api.stored().await, 0);
    let body = json!({"essays": essays, "on_invalid": "skip"});
    let skipped = api.post_json("/v1/batch", &body).await.json();
    assert_eq!((&skipped["accepted"], &skipped["rejected"]), (&json!(6), &json!(3)));
}

/// A byte order mark is the editor's, and no part of the essay.
#[tokio::test]
async fn a_byte_order_mark_is_stripped_whichever_way_a_text_comes_in() {
    let api = Api::open().await;
    let marked = "\u{feff}I recieve mail.\n";
    let json = json!({"text": marked});
    let form = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\n{marked}\r\n--XX--\r\n"
    );
    let answers = [
        api.post_json("/v1/batch", &json!({"essays": [json]})).await,
        api.post("/v1/batch", "application/x-ndjson", format!("\u{feff}{{}}\n\u{feff}{json}")).await,
        send(&api, form).await,
        api.post_json("/v1/trigger-spellcheck", &json).await,
        api.post("/v1/trigger-spellcheck", "text/plain", marked).await,
    ];
    for answer in answers {
        let told = answer.json();
        let essay = told["essays"][0]["essay_id"].as_str().or_else(|| told["essay_id"].as_str());
        let essay = essay.unwrap_or_else(|| panic!("{}", answer.body));
        let size = &api.get(&format!("/v1/essay/{essay}")).await.json()["size_bytes"];
        assert_eq!(*size, "I recieve mail.\n".len());
    }
    let named = json!({"name": "\u{feff}9B", "essays": [{"client_ref": "\u{feff}anna", "text": "a"}]});
    let told = api.post_json("/v1/batch", &named).await.json();
    assert_eq!(told["essays"][0]["client_ref"], "anna");
    assert_eq!(api.get(told["links"]["batch"].as_str().unwrap()).await.json()["name"], "9B");
}
