//! Both databases accept and refuse the same input, with the same answers.

use serde_json::{Value, json};

use super::{Answer, Api};
use crate::databases::on_postgres;

/// Fields that differ between two equal requests.
const OWN: [&str; 7] =
    ["batch_id", "essay_id", "correlation_id", "links", "created_at", "updated_at", "next_cursor"];

fn without_own(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !OWN.contains(&name.as_str()));
            fields.values_mut().for_each(without_own);
        }
        Value::Array(items) => items.iter_mut().for_each(without_own),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The status and the body of an answer, without the fields that differ between equal requests.
fn words(answer: &Answer) -> (u16, Value) {
    let mut body = answer.json();
    without_own(&mut body);
    (answer.status.as_u16(), body)
}

/// Texts that databases treat differently, and some that only look like it.
const AWKWARD: [(&str, &str); 12] = [
    ("U+0000", "a\u{0}b"),
    ("a control character", "a\u{1}b"),
    ("a byte order mark", "\u{feff}a"),
    ("a carriage return alone", "a\rb"),
    ("four bytes", "\u{1f642}\u{1f469}\u{200d}\u{1f393}"),
    ("a combining mark", "e\u{301}te\u{301}"),
    ("the replacement character", "a\u{fffd}b"),
    ("text that runs the other way", "\u{202e}abc"),
    ("a noncharacter", "a\u{ffff}b"),
    ("quotes and a comment", "'; DROP TABLE batches; -- \"\\"),
    ("a backslash and a percent", "100\\% \\u0000"),
    ("white space", " \t\n"),
];

fn requests() -> Vec<(String, Value)> {
    let batch = |name: &str, text: &str, client_ref: &str, label: &str| {
        json!({
            "name": name, "course_code": "ENG5", "labels": {"class": label},
            "essays": [{"client_ref": client_ref, "text": text}],
        })
    };
    let mut requests = Vec::new();
    for (what, word) in AWKWARD {
        requests.push((format!("{what} in a text"), batch("9B", word, "s-1", "9B")));
        requests.push((format!("{what} in a name"), batch(word, "Text", "s-1", "9B")));
        requests.push((format!("{what} in a client_ref"), batch("9B", "Text", word, "9B")));
        requests.push((format!("{what} in a label"), batch("9B", "Text", "s-1", word)));
    }
    requests.push(("a text of the greatest size".to_owned(), batch("9B", &"x".repeat(200_000), "s-1", "9B")));
    requests.push(("a text too large".to_owned(), batch("9B", &"x".repeat(200_001), "s-1", "9B")));
    requests.push(("no essay".to_owned(), json!({"course_code": "ENG5", "essays": []})));
    requests.push((
        "many faults".to_owned(),
        json!({"course_code": "ENG9", "nmae": "9B", "phases": ["x"], "essays": [{"text": ""}, {"txt": "a"}]}),
    ));
    requests
}

#[tokio::test]
async fn invalid_and_unusual_input_gets_the_same_answers_on_both_databases() {
    on_postgres(async |store, _| {
        let (sqlite, postgres) = (Api::open().await, Api::on(store).await);
        let mut accepted = 0;
        for (what, body) in requests() {
            let answers =
                [sqlite.post_json("/v1/batch", &body).await, postgres.post_json("/v1/batch", &body).await];
            let [one, other] = answers.each_ref().map(words);
            assert_eq!(one, other, "{what}");
            assert!([202, 413, 422].contains(&one.0), "{what}: {one:?}");
            accepted += usize::from(one.0 == 202);
        }
        for (key, body) in
            [("k", json!({"text": "One"})), ("k", json!({"text": "Two"})), ("k", json!({"text": "One"}))]
        {
            let path = "/v1/trigger-spellcheck";
            let answers = [
                sqlite.post_with_key(path, key, &body).await,
                postgres.post_with_key(path, key, &body).await,
            ];
            let [one, other] = answers.each_ref().map(words);
            assert_eq!(one, other);
        }

        assert_eq!(sqlite.stored().await, accepted + 1, "a refused request stores nothing");
        for path in ["/v1/batch?limit=500&include=counts", "/v1/batch?label=class:9B&limit=500"] {
            assert_eq!(words(&sqlite.get(path).await), words(&postgres.get(path).await), "{path}");
        }
    })
    .await;
}
