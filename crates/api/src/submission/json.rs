//! JSON objects parsed member by member in one pass, so that one bad value does not hide the next.
//!
//! Values stay unparsed ([`RawValue`]) until the code that knows their place parses them. So a wrong type, a duplicate key or half
//! a surrogate pair is a fault with a place and does not end the parsing.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Most members of an object that are kept. No object of this API has as many; further ones are reported as unknown.
const MEMBERS_KEPT: usize = 64;

/// Most essays that are kept, the largest value that `max_essays` can have. Further ones are only counted.
pub(super) const ESSAYS_KEPT: usize = 3_000;

/// The members of an object in the order they were written.
#[derive(Debug, Default)]
pub(crate) struct Members<'b> {
    /// The names and values, at most [`MEMBERS_KEPT`].
    pub(crate) list: Vec<(String, &'b RawValue)>,
    /// Whether there were more members.
    pub(crate) overflow: bool,
}

/// A value where an object is expected.
#[derive(Debug)]
pub(crate) enum Object<'b> {
    /// An object.
    Members(Members<'b>),
    /// Another kind of value, such as "a string".
    Other(&'static str),
}

/// A value where the list of essays is expected.
#[derive(Debug)]
pub(super) enum Essays<'b> {
    /// A list of `count` elements, of which at most [`ESSAYS_KEPT`] are kept.
    List { kept: Vec<Object<'b>>, count: usize },
    /// Another kind of value.
    Other(&'static str),
}

/// A batch: its members, with its essays parsed in the same pass.
#[derive(Debug, Default)]
pub(super) struct Root<'b> {
    pub(super) members: Members<'b>,
    pub(super) essays: Option<Essays<'b>>,
    pub(super) essays_again: bool,
}

impl<'b> Members<'b> {
    fn push(&mut self, name: String, value: &'b RawValue) {
        if self.list.len() < MEMBERS_KEPT {
            self.list.push((name, value));
        } else {
            self.overflow = true;
        }
    }
}

/// The kind of a value, by its first character.
pub(crate) fn kind_of(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The visits of values of an unexpected kind, of which only the kind is kept.
macro_rules! other_kinds {
    () => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::Other("a boolean"))
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::Other("a number"))
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::Other("a number"))
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::Other("a number"))
        }

        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::Other("a string"))
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::Other("null"))
        }
    };
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key()? {
            members.push(name, map.next_value()?);
        }
        Ok(Object::Members(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Object<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Object::Other("an array"))
    }

    other_kinds!();
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor)
    }
}

struct EssaysVisitor;

impl<'de> Visitor<'de> for EssaysVisitor {
    type Value = Essays<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Essays<'de>, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < ESSAYS_KEPT {
            let Some(essay) = seq.next_element()? else {
                let count = kept.len();
                return Ok(Essays::List { kept, count });
            };
            kept.push(essay);
        }
        let mut count = kept.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Essays::List { kept, count })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Essays<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Essays::Other("an object"))
    }

    other_kinds!();
}

impl<'de> Deserialize<'de> for Essays<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EssaysVisitor)
    }
}

struct RootVisitor;

impl<'de> Visitor<'de> for RootVisitor {
    type Value = Root<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Root<'de>, A::Error> {
        let mut root = Root::default();
        while let Some(name) = map.next_key::<String>()? {
            if name != "essays" {
                root.members.push(name, map.next_value()?);
            } else if root.essays.is_none() {
                root.essays = Some(map.next_value()?);
            } else {
                root.essays_again = true;
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(root)
    }
}

impl<'de> Deserialize<'de> for Root<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RootVisitor)
    }
}
