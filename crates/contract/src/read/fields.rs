//! Fields in every form in which other services write them.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use uuid::Uuid;

use super::{MAX_ESSAYS, ReadError};
use crate::course::{CourseCode, Language};
use crate::status::{OutcomeStatus, PhaseName, Verdict};
use crate::strings::{StorageId, read_str};

/// The id of an essay or a batch: a UUID, or another system's id.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Id {
    Ours(Uuid),
    Foreign,
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_str(deserializer, "an id", |text| match Uuid::try_parse(text) {
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

/// The id in the first place that holds one. Its absence is an error.
pub(super) fn id(
    places: impl IntoIterator<Item = Option<Id>>,
    path: &'static str,
) -> Result<Uuid, ReadError> {
    required(optional_id(places, path)?, path)
}

/// The id in the first place that holds one, if any.
pub(super) fn optional_id(
    places: impl IntoIterator<Item = Option<Id>>,
    path: &'static str,
) -> Result<Option<Uuid>, ReadError> {
    places.into_iter().flatten().next().map(|id| id.ours(path)).transpose()
}

/// A vocabulary for reading. It may accept more strings than are written.
pub(super) trait Vocabulary: Sized {
    fn read(word: &str) -> Option<Self>;
}

impl Vocabulary for PhaseName {
    fn read(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Vocabulary for CourseCode {
    fn read(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Vocabulary for Language {
    fn read(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Vocabulary for OutcomeStatus {
    fn read(word: &str) -> Option<Self> {
        Self::from_either_generation(word)
    }
}

impl Vocabulary for Verdict {
    fn read(word: &str) -> Option<Self> {
        Self::from_either_generation(word)
    }
}

/// A string that should be a value of a vocabulary; `None` if it is not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<T>(Option<T>);

impl<'de, T: Vocabulary> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_str(deserializer, "a word", |word| Some(Self(T::read(word))))
    }
}

impl<T> Word<T> {
    /// The value. Its absence and an unknown string are errors.
    pub(super) fn known(word: Option<Self>, path: &'static str) -> Result<T, ReadError> {
        required(word, path)?.0.ok_or(ReadError::UnknownWord { path })
    }
}

/// The value of a required field.
pub(super) fn required<T>(field: Option<T>, path: &'static str) -> Result<T, ReadError> {
    field.ok_or(ReadError::MissingField { path })
}

/// A list that keeps at most [`MAX_ESSAYS`] entries; further entries are skipped and noted.
pub(super) struct Bounded<T> {
    items: Vec<T>,
    overflowed: bool,
}

impl<T> Bounded<T> {
    /// The entries; none if the list is absent. Too many are an error.
    pub(super) fn items(list: Option<Self>, path: &'static str) -> Result<Vec<T>, ReadError> {
        match list {
            None => Ok(Vec::new()),
            Some(list) if list.overflowed => Err(ReadError::TooManyEssays { path }),
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
                        None => return Ok(Bounded { items, overflowed: false }),
                    }
                }
                let mut overflowed = false;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    overflowed = true;
                }
                Ok(Bounded { items, overflowed })
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// A value in an open object, about which the models say nothing. A value of another type counts as absent.
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

/// One entry of `references`: an object in which the first value in the form of a storage id is the reference, under any key
/// (writers use `default` and `storage_id`). Nothing in the object is refused.
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
