//! The faults of a request, collected so that the answer reports all of them.

use std::collections::BTreeSet;

use domain::StorageId;
use serde_json::value::RawValue;

use super::json::{Members, kind_of};
use crate::essay_file::without_mark;
use crate::problem::{Code, Item, Problem};
use crate::suggest::suggest;

/// Most faults in an answer: two for every essay of the largest batch (3,000). Further ones are only counted.
const TOLD: usize = 6_000;

/// A place in the request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A place outside the essays, as a JSON pointer.
    Request(&'a str),
    /// A place in the essay with this index, counted from 0, as a pointer within the essay.
    Essay(usize, &'a str),
}

impl Place<'_> {
    fn pointer(self) -> String {
        match self {
            Self::Request(path) => path.to_owned(),
            Self::Essay(index, path) => format!("/essays/{index}{path}"),
        }
    }

    fn index(self) -> Option<usize> {
        match self {
            Self::Request(_) => None,
            Self::Essay(index, _) => Some(index),
        }
    }

    /// The pointer of a member of the object at this place, or of the object itself if the name may not be shown.
    fn member(self, name: &str) -> String {
        let base = self.pointer();
        if is_showable(name) {
            format!("{base}/{}", name.replace('~', "~0").replace('/', "~1"))
        } else {
            base
        }
    }
}

/// The faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    items: Vec<Item>,
    untold: usize,
    request: bool,
    essays: BTreeSet<usize>,
}

impl Faults {
    /// Adds a fault. `detail` must not contain a value of the request.
    pub(crate) fn add(&mut self, place: Place<'_>, code: Code, detail: impl Into<String>) {
        self.add_at(place, place.pointer(), code, detail.into());
    }

    fn add_at(&mut self, place: Place<'_>, pointer: String, code: Code, detail: String) {
        match place.index() {
            Some(index) => {
                self.essays.insert(index);
            }
            None => self.request = true,
        }
        if self.items.len() < TOLD {
            let item = Item::new(code, detail).at(pointer);
            self.items.push(match place.index() {
                Some(index) => item.of_essay(index, None),
                None => item,
            });
        } else {
            self.untold += 1;
        }
    }

    /// Whether there is a fault outside the essays.
    pub(crate) fn has_request_faults(&self) -> bool {
        self.request
    }

    /// Whether there is no fault.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether this essay has a fault.
    pub(crate) fn has_essay(&self, index: usize) -> bool {
        self.essays.contains(&index)
    }

    /// The number of essays with a fault.
    pub(crate) fn essays(&self) -> usize {
        self.essays.len()
    }

    /// The faults in order of place, those of the request first, with the `client_ref` of their essays; and the number of further
    /// faults that are not listed.
    pub(crate) fn into_items(self, client_ref: impl Fn(usize) -> Option<String>) -> (Vec<Item>, usize) {
        let mut items = self.items;
        items.sort_by_key(|item| item.index);
        for item in &mut items {
            item.client_ref = item.index.and_then(&client_ref);
        }
        (items, self.untold)
    }

    /// The problem of a request without essays.
    pub(crate) fn into_problem(self) -> Problem {
        let (items, _) = self.into_items(|_| None);
        let code = super::code_of(&items, 0);
        let detail = match items.as_slice() {
            [item] => format!("The request is invalid: {}; nothing was done.", item.detail),
            _ => "The request is invalid; nothing was done.".to_owned(),
        };
        Problem::new(code, detail).with_errors(items)
    }

    /// Adds an unknown member, with the known name that is probably meant.
    pub(crate) fn unknown(&mut self, place: Place<'_>, name: &str, known: &[&str]) {
        let detail = match suggest(name, known.iter().copied()) {
            Some(near) => format!("unknown field; did you mean `{near}`?"),
            None if known.is_empty() => "unknown field; no field is expected here".to_owned(),
            None => format!("unknown field; known here: {}", known.join(", ")),
        };
        self.add_at(place, place.member(name), Code::UnknownField, detail);
    }

    /// Calls `each` once for every known member of an object, with its name as in `known`. Unknown and repeated members become
    /// faults.
    pub(crate) fn members<'b>(
        &mut self,
        place: Place<'_>,
        members: Members<'b>,
        known: &'static [&'static str],
        mut each: impl FnMut(&mut Self, &'static str, &'b RawValue),
    ) {
        let mut seen: Vec<&'static str> = Vec::with_capacity(known.len());
        for (name, value) in members.list {
            match known.iter().find(|known| **known == name) {
                None => self.unknown(place, &name, known),
                Some(known) if seen.contains(known) => self.repeated(place, known),
                Some(known) => {
                    seen.push(known);
                    each(self, known, value);
                }
            }
        }
        if members.overflow {
            self.add(place, Code::UnknownField, "the object has more members than any object of this API");
        }
    }

    /// Adds a member that occurs more than once.
    pub(crate) fn repeated(&mut self, place: Place<'_>, name: &str) {
        self.add_at(
            place,
            place.member(name),
            Code::DuplicateKey,
            "the key occurs more than once".to_owned(),
        );
    }

    /// Adds a value of the wrong type, with the expected and the actual type.
    pub(crate) fn wrong_type(&mut self, place: Place<'_>, wanted: &str, found: &str) {
        self.add(place, Code::WrongType, format!("expected {wanted}, found {found}"));
    }

    /// The text of a JSON string; null counts as absent.
    pub(crate) fn string(&mut self, place: Place<'_>, value: &RawValue) -> Option<String> {
        match kind_of(value) {
            "null" => None,
            "a string" => {
                let text = serde_json::from_str(value.get()).ok();
                // The value is valid JSON, so only an escape of half a surrogate pair can fail here.
                if text.is_none() {
                    self.add(place, Code::InvalidUtf8, "half a surrogate pair, or bytes that are not UTF-8");
                }
                text
            }
            found => {
                self.wrong_type(place, "a string", found);
                None
            }
        }
    }

    /// A JSON boolean; null counts as absent.
    pub(crate) fn boolean(&mut self, place: Place<'_>, value: &RawValue) -> Option<bool> {
        match value.get() {
            "true" => Some(true),
            "false" => Some(false),
            "null" => None,
            _ => {
                self.wrong_type(place, "true or false", kind_of(value));
                None
            }
        }
    }

    /// A JSON array of strings, each with its index; null counts as absent.
    pub(crate) fn strings(&mut self, path: &str, value: &RawValue) -> Option<Vec<(usize, String)>> {
        match kind_of(value) {
            "null" => None,
            "an array" => {
                let values: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
                Some(
                    values
                        .into_iter()
                        .enumerate()
                        .filter_map(|(at, value)| {
                            let pointer = format!("{path}/{at}");
                            if value.get() == "null" {
                                self.wrong_type(Place::Request(&pointer), "a string", "null");
                            }
                            Some((at, self.string(Place::Request(&pointer), value)?))
                        })
                        .collect(),
                )
            }
            found => {
                self.wrong_type(Place::Request(path), "an array of strings", found);
                None
            }
        }
    }

    /// A short text in one line, for lists and terminals: without control characters.
    pub(crate) fn line(&mut self, place: Place<'_>, text: String, longest: usize) -> Option<String> {
        let text = without_mark(text);
        if text.contains('\0') {
            self.add(place, Code::NulCharacter, "U+0000 cannot be stored");
        } else if text.chars().any(is_unprintable) {
            self.add(
                place,
                Code::ControlCharacter,
                "control characters and text direction overrides are not allowed here",
            );
        } else if text.chars().count() > longest {
            self.add(place, Code::TooLong, format!("longer than {longest} characters"));
        } else {
            return Some(text);
        }
        None
    }

    /// A text that may have several lines.
    pub(crate) fn paragraph(&mut self, place: Place<'_>, text: String, longest: usize) -> Option<String> {
        let text = without_mark(text);
        if text.contains('\0') {
            self.add(place, Code::NulCharacter, "U+0000 cannot be stored");
        } else if text.chars().count() > longest {
            self.add(place, Code::TooLong, format!("longer than {longest} characters"));
        } else {
            return Some(text);
        }
        None
    }

    /// A storage id of the Content Service.
    pub(crate) fn storage_id(&mut self, place: Place<'_>, text: &str) -> Option<StorageId> {
        let id = text.parse().ok();
        if id.is_none() {
            self.add(place, Code::MalformedId, "a storage id is 1 to 128 characters of 0-9 A-Z a-z _ -");
        }
        id
    }
}

/// Whether an answer may repeat a name: at most 64 characters and only those of field names, so that it cannot be essay text.
pub(super) fn is_showable(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~' | b'/'))
}

/// Whether a character is a control character or changes the direction of text.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}
