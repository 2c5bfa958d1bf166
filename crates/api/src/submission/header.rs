//! The JSON of a batch: its fields and its list of essays.

use serde_json::value::RawValue;

use super::faults::{Faults, Place};
use super::json::{Essays, Members, Object, Root};
use super::{Draft, DraftEssay};
use crate::problem::{Code, Problem};

/// The fields of a batch.
pub(super) const FIELDS: &[&str] = &[
    "name",
    "course_code",
    "language",
    "labels",
    "phases",
    "on_invalid",
    "close",
    "class_designation",
    "essay_instructions",
    "assignment_id",
    "prompt",
    "prompt_storage_id",
    "essays",
];

/// The fields of an essay.
pub(super) const ESSAY_FIELDS: &[&str] = &["client_ref", "text", "text_storage_id"];

/// The fields of a batch, without its essays, parsed and not yet checked.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) name: Option<String>,
    pub(super) course_code: Option<String>,
    pub(super) language: Option<String>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) phases: Vec<(usize, String)>,
    pub(super) on_invalid: Option<String>,
    pub(super) close: Option<bool>,
    pub(super) class_designation: Option<String>,
    pub(super) essay_instructions: Option<String>,
    pub(super) assignment_id: Option<String>,
    pub(super) prompt: bool,
    pub(super) prompt_storage_id: Option<String>,
}

/// Parses a batch from one JSON object.
pub(super) fn read_json(faults: &mut Faults, body: &str) -> Result<Draft, Problem> {
    if !body.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        return Err(not_an_object(body));
    }
    let root: Root<'_> = serde_json::from_str(body).map_err(|error| malformed(&error))?;
    let mut draft = Draft { header: read(faults, root.members), ..Draft::default() };
    if root.essays_again {
        faults.repeated(Place::Request(""), "essays");
    }
    match root.essays {
        None => {}
        Some(Essays::Other(found)) => {
            faults.wrong_type(Place::Request("/essays"), "an array of essays", found);
        }
        Some(Essays::List { kept, count }) => {
            draft.count = count;
            draft.essays =
                kept.into_iter().enumerate().map(|(at, essay)| read_essay(faults, at, essay)).collect();
        }
    }
    Ok(draft)
}

/// Parses the fields of a batch, without its essays.
pub(super) fn read(faults: &mut Faults, members: Members<'_>) -> Header {
    let mut header = Header::default();
    faults.members(Place::Request(""), members, FIELDS, |faults, name, value| {
        let pointer = format!("/{name}");
        let at = Place::Request(&pointer);
        match name {
            "name" => header.name = faults.string(at, value),
            "course_code" => header.course_code = faults.string(at, value),
            "language" => header.language = faults.string(at, value),
            "labels" => header.labels = labels(faults, value),
            "phases" => header.phases = faults.strings("/phases", value).unwrap_or_default(),
            "on_invalid" => header.on_invalid = faults.string(at, value),
            "close" => header.close = faults.boolean(at, value),
            "class_designation" => header.class_designation = faults.string(at, value),
            "essay_instructions" => header.essay_instructions = faults.string(at, value),
            "assignment_id" => header.assignment_id = faults.string(at, value),
            "prompt" => header.prompt = value.get() != "null",
            "prompt_storage_id" => header.prompt_storage_id = faults.string(at, value),
            // `essays` in the first line of NDJSON; in JSON it is parsed before.
            _ => faults.add(
                at,
                Code::UnknownField,
                "in NDJSON each essay is a line of its own, after the line of the batch",
            ),
        }
    });
    header
}

/// Parses one element of the list of essays.
pub(super) fn read_essay(faults: &mut Faults, index: usize, essay: Object<'_>) -> DraftEssay {
    let mut draft = DraftEssay::default();
    match essay {
        Object::Other(found) => faults.wrong_type(Place::Essay(index, ""), "an essay as an object", found),
        Object::Members(members) => {
            faults.members(
                Place::Essay(index, ""),
                members,
                ESSAY_FIELDS,
                |faults, name, value| match name {
                    "client_ref" => {
                        draft.client_ref = faults.string(Place::Essay(index, "/client_ref"), value);
                    }
                    "text" => draft.text = faults.string(Place::Essay(index, "/text"), value),
                    _ => {
                        draft.text_storage_id = faults.string(Place::Essay(index, "/text_storage_id"), value);
                    }
                },
            );
        }
    }
    draft
}

fn labels(faults: &mut Faults, value: &RawValue) -> Vec<(String, String)> {
    let mut labels: Vec<(String, String)> = Vec::new();
    match serde_json::from_str(value.get()) {
        Ok(Object::Members(members)) => {
            for (key, value) in members.list {
                if labels.iter().any(|(seen, _)| *seen == key) {
                    faults.add(
                        Place::Request("/labels"),
                        Code::DuplicateKey,
                        "a label occurs more than once",
                    );
                } else if value.get() == "null" {
                    faults.wrong_type(Place::Request("/labels"), "a string for each label", "null");
                } else if let Some(value) = faults.string(Place::Request("/labels"), value) {
                    labels.push((key, value));
                }
            }
            if members.overflow {
                faults.add(
                    Place::Request("/labels"),
                    Code::InvalidLabel,
                    "far more labels than a batch may have",
                );
            }
        }
        Ok(Object::Other("null")) => {}
        Ok(Object::Other(found)) => {
            faults.wrong_type(Place::Request("/labels"), "an object of strings", found);
        }
        // The value is valid JSON, so only half a surrogate pair in a label's key can fail here.
        Err(_) => {
            faults.add(
                Place::Request("/labels"),
                Code::InvalidUtf8,
                "half a surrogate pair in a label's key",
            );
        }
    }
    labels
}

/// The problem of a body that is not JSON. It gives the position and no content.
pub(crate) fn malformed(error: &serde_json::Error) -> Problem {
    let what = if error.is_eof() { "it ends too early" } else { "there is a syntax error" };
    let detail =
        format!("The body is not JSON: {what}, at line {}, column {}.", error.line(), error.column());
    Problem::new(Code::MalformedJson, detail)
}

/// The problem of a body that is not a JSON object.
pub(crate) fn not_an_object(body: &str) -> Problem {
    match serde_json::from_str::<Object<'_>>(body) {
        Err(error) => malformed(&error),
        Ok(found) => {
            let found = match found {
                Object::Members(_) => "an object",
                Object::Other(found) => found,
            };
            let mut faults = Faults::default();
            faults.wrong_type(Place::Request(""), "an object", found);
            faults.into_problem()
        }
    }
}
