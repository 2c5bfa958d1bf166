//! Everything that is wrong with a request, gathered before anything is said.

use std::collections::BTreeSet;

use domain::StorageId;
use serde_json::value::RawValue;

use super::json::{Members, kind_of};
use crate::problem::{Code, Item, Problem};
use crate::suggest::suggest;

/// Faults that are told; two for every essay of the largest batch. The rest is counted.
const TOLD: usize = 6_000;

/// Where in the request something stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// The request itself, at this JSON pointer.
    Request(&'a str),
    /// The essay of this index, counted from 0, at this pointer within it.
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

    /// The pointer of a member below this place; one that is not fit to be shown is left out.
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
    /// Adds one. `detail` never holds a value that was sent.
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

    /// Whether the request itself is at fault, and not only some of its essays.
    pub(crate) fn has_request_faults(&self) -> bool {
        self.request
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether this essay is at fault.
    pub(crate) fn has_essay(&self, index: usize) -> bool {
        self.essays.contains(&index)
    }

    /// How many essays are at fault.
    pub(crate) fn essays(&self) -> usize {
        self.essays.len()
    }

    /// The faults by place, those of the request first, each essay's with the caller's name for it, and the number of
    /// further ones that are not told.
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
            [item] => format!("The request is not acceptable: {}; nothing was done.", item.detail),
            _ => "The request is not acceptable; nothing was done.".to_owned(),
        };
        Problem::new(code, detail).with_errors(items)
    }

    /// Says that a member is not known here, with the one that is probably meant.
    pub(crate) fn unknown(&mut self, place: Place<'_>, name: &str, known: &[&str]) {
        let detail = match suggest(name, known.iter().copied()) {
            Some(near) => format!("there is no such field; did you mean `{near}`?"),
            None if known.is_empty() => "there is no such field; none is expected here".to_owned(),
            None => format!("there is no such field; known here: {}", known.join(", ")),
        };
        self.add_at(place, place.member(name), Code::UnknownField, detail);
    }

    /// Walks the members of an object: each known one is handed over once, with its name as listed in `known`; unknown and
    /// repeated ones become faults.
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
            self.add(place, Code::UnknownField, "there are more members than any object here has");
        }
    }

    /// Says that a member is written twice.
    pub(crate) fn repeated(&mut self, place: Place<'_>, name: &str) {
        self.add_at(
            place,
            place.member(name),
            Code::DuplicateKey,
            "this name is written more than once".to_owned(),
        );
    }

    /// Says what was expected and what kind of value was found instead.
    pub(crate) fn wrong_type(&mut self, place: Place<'_>, wanted: &str, found: &str) {
        self.add(place, Code::WrongType, format!("expected {wanted}, found {found}"));
    }

    /// The text of a JSON string; null counts as absent.
    pub(crate) fn string(&mut self, place: Place<'_>, value: &RawValue) -> Option<String> {
        match kind_of(value) {
            "null" => None,
            "a string" => {
                let text = serde_json::from_str(value.get()).ok();
                // The value was read as JSON before: only an escape of half a surrogate pair is left to go wrong.
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

    /// A text that people read and programs sort by: short, and without control characters.
    pub(crate) fn line(&mut self, place: Place<'_>, text: String, longest: usize) -> Option<String> {
        if text.contains('\0') {
            self.add(place, Code::NulCharacter, "U+0000 cannot be stored");
        } else if text.chars().any(is_unprintable) {
            self.add(
                place,
                Code::ControlCharacter,
                "control characters and text direction overrides are not taken here",
            );
        } else if text.chars().count() > longest {
            self.add(place, Code::TooLong, format!("longer than {longest} characters"));
        } else {
            return Some(text);
        }
        None
    }

    /// A text of several lines.
    pub(crate) fn paragraph(&mut self, place: Place<'_>, text: String, longest: usize) -> Option<String> {
        if text.contains('\0') {
            self.add(place, Code::NulCharacter, "U+0000 cannot be stored");
        } else if text.chars().count() > longest {
            self.add(place, Code::TooLong, format!("longer than {longest} characters"));
        } else {
            return Some(text);
        }
        None
    }

    /// The name of a text at the Content Service.
    pub(crate) fn storage_id(&mut self, place: Place<'_>, text: &str) -> Option<StorageId> {
        let id = text.parse().ok();
        if id.is_none() {
            self.add(place, Code::MalformedId, "a storage id is 1 to 128 characters of 0-9 A-Z a-z _ -");
        }
        id
    }
}

/// A name that an answer may repeat: short, and of the letters that field names are made of, so that it is no essay.
fn is_showable(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~' | b'/'))
}

/// Control characters, and the marks that turn the direction of text around.
pub(crate) fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}
