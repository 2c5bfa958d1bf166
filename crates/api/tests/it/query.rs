use ::api::problem::Code;
use ::api::query::parse;
use serde::Deserialize;

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct List {
    limit: Option<u32>,
    #[serde(default)]
    label: Vec<String>,
    order: Option<Order>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Order {
    Oldest,
    Newest,
}

#[test]
fn parameters_are_parsed_and_repeated_ones_collected() {
    let list: List = parse("limit=5&label=class%3A9B&label=year%3A2025").unwrap();
    assert_eq!(
        list,
        List { limit: Some(5), label: vec!["class:9B".to_owned(), "year:2025".to_owned()], order: None }
    );
    assert_eq!(parse::<List>("").unwrap(), List { limit: None, label: Vec::new(), order: None });
}

#[test]
fn an_unknown_parameter_is_refused_with_a_suggestion() {
    let problem = parse::<List>("limt=5").unwrap_err();
    assert_eq!(problem.code(), Code::UnknownParameter);
    assert_eq!(problem.errors()[0].parameter.as_deref(), Some("limt"));
    assert!(problem.detail().contains("did you mean `limit`?"), "{}", problem.detail());
}

#[test]
fn an_empty_value_is_refused_unless_the_parameter_is_text() {
    let problem = parse::<List>("label=a&limit=").unwrap_err();
    assert_eq!(problem.code(), Code::InvalidParameter, "{problem:?}");
    assert_eq!(problem.errors()[0].parameter.as_deref(), Some("limit"), "{problem:?}");
    assert_eq!(parse::<List>("order=").unwrap_err().code(), Code::InvalidParameter);
    assert_eq!(parse::<List>("other=").unwrap_err().code(), Code::UnknownParameter);
    assert_eq!(parse::<List>("label=").unwrap().label, [""]);
}

#[test]
fn an_invalid_value_names_its_parameter_and_is_not_repeated() {
    for query in ["limit=SECRET", "limit=-1", "limit=1&limit=2"] {
        let problem = parse::<List>(query).unwrap_err();
        assert_eq!(problem.code(), Code::InvalidParameter, "{query}: {problem:?}");
        assert!(!format!("{problem:?}").contains("SECRET"), "{problem:?}");
        assert_eq!(problem.errors()[0].parameter.as_deref(), Some("limit"), "{query}: {problem:?}");
    }
}

#[test]
fn a_word_outside_a_closed_set_names_its_parameter_and_the_allowed_words() {
    assert_eq!(parse::<List>("order=newest").unwrap().order, Some(Order::Newest));
    let problem = parse::<List>("order=SECRET").unwrap_err();
    assert_eq!(problem.errors()[0].parameter.as_deref(), Some("order"), "{problem:?}");
    assert!(problem.detail().contains("`oldest` or `newest`"), "{}", problem.detail());
    assert!(!format!("{problem:?}").contains("SECRET"), "{problem:?}");
}
