//! Fields as others may have written them.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use uuid::Uuid;

use super::{MAX_ESSAYS, ReadError};
use crate::course::{CourseCode, Language};
use crate::status::{OutcomeWord, PhaseName, Verdict};

/// Reads a JSON string, and nothing else, without keeping it.
pub(crate) fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    struct Text<F>(&'static str, F);
    impl<T, F: FnOnce(&str) -> Option<T>> Visitor<'_> for Text<F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.1)(text).ok_or_else(|| E::custom(self.0))
        }
    }
    deserializer.deserialize_str(Text(expected, read))
}

/// The id of an essay or a batch: a UUID, or somebody else's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Id {
    Ours(Uuid),
    Foreign,
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "an id", |text| match Uuid::try_parse(text) {
            Ok(id) => Some(Self::Ours(id)),
            Err(_) => (!text.is_empty()).then_some(Self::Foreign),
        })
    }
}

impl Id {
    pub(super) fn ours(self, path: &'static str) -> Result<Uuid, ReadError> {
        match self {
            Self::Ours(id) => Ok(id),
            Self::Foreign => Err(ReadError::ForeignId { path }),
        }
    }
}

/// The first of several places that holds an id, which must be there.
pub(super) fn id(
    places: impl IntoIterator<Item = Option<Id>>,
    path: &'static str,
) -> Result<Uuid, ReadError> {
    required(optional_id(places, path)?, path)
}

/// The first of several places that holds an id.
pub(super) fn optional_id(
    places: impl IntoIterator<Item = Option<Id>>,
    path: &'static str,
) -> Result<Option<Uuid>, ReadError> {
    places.into_iter().flatten().next().map(|id| id.ours(path)).transpose()
}

/// A vocabulary as it is read, which may know more words than are written.
pub(super) trait Vocabulary: Sized {
    fn of(word: &str) -> Option<Self>;
}

impl Vocabulary for PhaseName {
    fn of(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Vocabulary for CourseCode {
    fn of(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Vocabulary for Language {
    fn of(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Vocabulary for OutcomeWord {
    fn of(word: &str) -> Option<Self> {
        Self::of_either_generation(word)
    }
}

impl Vocabulary for Verdict {
    fn of(word: &str) -> Option<Self> {
        Self::of_either_generation(word)
    }
}

/// A word of a vocabulary, or none of its words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<T>(Option<T>);

impl<'de, T: Vocabulary> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "a word", |word| Some(Self(T::of(word))))
    }
}

impl<T> Word<T> {
    /// The word, which must be there and be known.
    pub(super) fn known(word: Option<Self>, path: &'static str) -> Result<T, ReadError> {
        required(word, path)?.0.ok_or(ReadError::UnknownWord { path })
    }
}

/// A field that must be there.
pub(super) fn required<T>(field: Option<T>, path: &'static str) -> Result<T, ReadError> {
    field.ok_or(ReadError::MissingField { path })
}

/// An id of the Content Service: 1 to 128 of `0-9 A-Z a-z _ -`.
///
/// Its own are 32 hex digits; the wider shape leaves room for another store, and none for a line end or a path.
#[derive(Debug, Clone)]
pub(crate) struct StorageId(String);

impl<'de> Deserialize<'de> for StorageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "a storage id", |text| Self::shaped(text).then(|| Self(text.to_owned())))
    }
}

impl StorageId {
    fn shaped(text: &str) -> bool {
        (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    }

    pub(super) fn into_inner(self) -> String {
        self.0
    }

    /// For a field that is a plain string in our own types.
    pub(crate) fn into_string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        Self::deserialize(deserializer).map(Self::into_inner)
    }
}

/// A code that a neighbour gives for a failure: at most 64 of `0-9 A-Z a-z _ - . :`. Anything else may be a sentence
/// about a pupil's text, and is dropped.
pub(super) struct ErrorCode(Option<String>);

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "a code", |text| {
            let is_code = (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':'));
            Some(Self(is_code.then(|| text.to_owned())))
        })
    }
}

impl ErrorCode {
    pub(super) fn into_inner(self) -> Option<String> {
        self.0
    }
}

/// A list that stops growing at [`MAX_ESSAYS`]; what is beyond is counted over and not kept.
pub(super) struct Bounded<T> {
    items: Vec<T>,
    overflown: bool,
}

impl<T> Bounded<T> {
    /// The list, empty where there was none.
    pub(super) fn items(list: Option<Self>, path: &'static str) -> Result<Vec<T>, ReadError> {
        match list {
            None => Ok(Vec::new()),
            Some(list) if list.overflown => Err(ReadError::TooManyEssays { path }),
            Some(list) => Ok(list.items),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bounded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = Bounded<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Bounded<T>, A::Error> {
                let mut items = Vec::new();
                while items.len() < MAX_ESSAYS {
                    match list.next_element()? {
                        Some(item) => items.push(item),
                        None => return Ok(Bounded { items, overflown: false }),
                    }
                }
                let mut overflown = false;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    overflown = true;
                }
                Ok(Bounded { items, overflown })
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// A value in an open object, where the models promise nothing: what is not of the type looked for is not there.
pub(super) struct Open<T>(pub(super) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Open<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Value<T> {
            Known(T),
            Other(IgnoredAny),
        }
        Ok(match Value::deserialize(deserializer)? {
            Value::Known(value) => Self(Some(value)),
            Value::Other(IgnoredAny) => Self(None),
        })
    }
}

impl<T> Open<T> {
    pub(super) fn value(field: Option<Self>) -> Option<T> {
        field?.0
    }
}

/// One entry of `references`: an object whose first value that looks like a storage id is the reference, whatever its
/// key (writers use `default` and `storage_id`). Nothing in it is refused.
pub(super) struct Reference(Option<String>);

impl Reference {
    pub(super) fn into_inner(self) -> Option<String> {
        self.0
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = Reference;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reference, A::Error> {
                let mut found = None;
                while let Some((IgnoredAny, value)) = map.next_entry()? {
                    let Open(value): Open<StorageId> = value;
                    found = found.or_else(|| value.map(StorageId::into_inner));
                }
                Ok(Reference(found))
            }
        }
        deserializer.deserialize_map(Values)
    }
}
