use ::api::json::parse;
use ::api::problem::{Code, Problem};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the shape is used")]
struct Batch {
    name: Option<String>,
    #[serde(default)]
    close: bool,
    essays: Vec<Essay>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the shape is used")]
struct Essay {
    client_ref: Option<String>,
    text: String,
}

fn refused(body: impl AsRef<[u8]>) -> Problem {
    parse::<Batch>(body.as_ref()).expect_err("this body is refused")
}

#[test]
fn every_fault_has_its_code_and_pointer() {
    let table: [(&str, Code, Option<&str>); 14] = [
        (r#"{"essays":[{"txet":"a"}]}"#, Code::UnknownField, Some("/essays/0/txet")),
        (r#"{"essays":[],"nmae":"x"}"#, Code::UnknownField, Some("/nmae")),
        (r#"{"essays":[{"text":"a"},{"client_ref":"b"}]}"#, Code::MissingField, Some("/essays/1/text")),
        (r"{}", Code::MissingField, Some("/essays")),
        (r#"{"essays":[{"text":7}]}"#, Code::WrongType, Some("/essays/0/text")),
        (r#"{"essays":"SECRET"}"#, Code::WrongType, Some("/essays")),
        (r#"{"close":"SECRET","essays":[]}"#, Code::WrongType, Some("/close")),
        (r#"{"essays":[],"essays":[]}"#, Code::DuplicateKey, Some("/essays")),
        (r#"{"essays":[{"text":"a","text":"SECRET"}]}"#, Code::DuplicateKey, Some("/essays/0/text")),
        (r#"{"essays":[{"text":"SECRET\ud800"}]}"#, Code::InvalidUtf8, None),
        (r#"{"essays":[{"text":"SECRET\udc00x"}]}"#, Code::InvalidUtf8, None),
        (r#"{"essays":[}"#, Code::MalformedJson, None),
        (r#"{"essays":[]} SECRET"#, Code::MalformedJson, None),
        ("", Code::MalformedJson, None),
    ];
    for (body, code, pointer) in table {
        let problem = refused(body);
        assert_eq!(problem.code(), code, "{body}: {problem:?}");
        assert_eq!(problem.errors().first().and_then(|item| item.pointer.as_deref()), pointer, "{body}");
        assert!(!format!("{problem:?}").contains("SECRET"), "{problem:?}");
    }
}

#[test]
fn a_misspelt_field_is_answered_with_the_known_name() {
    assert!(refused(r#"{"essays":[{"txt":"a"}]}"#).detail().contains("did you mean `text`?"));
}

#[test]
fn essay_text_in_the_place_of_a_key_is_not_repeated() {
    let problem = refused(r#"{"essays":[{"My SECRET summer, part one":1}]}"#);
    assert_eq!(problem.code(), Code::UnknownField);
    assert!(!format!("{problem:?}").contains("SECRET"), "{problem:?}");
    let twice = refused(r#"{"My SECRET":1,"My SECRET":2,"essays":[]}"#);
    assert_eq!(twice.code(), Code::DuplicateKey);
    assert!(!format!("{twice:?}").contains("SECRET"), "{twice:?}");
}

#[test]
fn bytes_that_are_not_utf8_are_refused_with_their_offset() {
    let problem = refused(b"{\"essays\":[{\"text\":\"caf\xE9\"}]}");
    assert_eq!(problem.code(), Code::InvalidUtf8);
    assert!(problem.detail().contains("byte 23"), "{}", problem.detail());
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert!(parse::<Batch>("\u{FEFF}{\"essays\":[]}".as_bytes()).is_ok());
}

#[test]
fn deep_nesting_is_refused_without_a_stack_overflow() {
    let problem = refused("[".repeat(100_000));
    assert_eq!(problem.code(), Code::MalformedJson);
    let inside = format!(r#"{{"essays":[],"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(refused(inside).code(), Code::MalformedJson);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = parse::<Batch>(&bytes);
    }

    #[test]
    fn a_problem_contains_no_value_of_the_body(secret in "[a-z ]{12,40}") {
        let body = serde_json::json!({"essays": [{"text": {"a": secret}}], "name": [secret]}).to_string();
        let said = format!("{:?}", refused(body));
        prop_assert!(!said.contains(&secret), "{said}");
    }
}
