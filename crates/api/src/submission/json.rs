//! JSON objects read member by member in one pass, so that one bad value does not hide the next.
//!
//! Values stay as they were sent ([`RawValue`]) until somebody who knows where they stand reads them: a wrong type, a name
//! written twice or half a surrogate pair is then a fault with a place, and never the end of the reading.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Members of one object that are kept. No object of ours has as many; more of them are counted as unknown.
const MEMBERS_KEPT: usize = 64;

/// Elements of the list of essays that are kept: the hard ceiling of a batch. Further ones are counted.
pub(super) const ESSAYS_KEPT: usize = 3_000;

/// The members of an object in the order they were written.
#[derive(Debug, Default)]
pub(crate) struct Members<'b> {
    /// Name and value.
    pub(crate) list: Vec<(String, &'b RawValue)>,
    /// There were more than are kept.
    pub(crate) overflow: bool,
}

/// A value of which only an object is of use.
#[derive(Debug)]
pub(crate) enum Object<'b> {
    /// It is one.
    Members(Members<'b>),
    /// It is this instead, as in "a string".
    Other(&'static str),
}

/// The list of essays.
#[derive(Debug)]
pub(super) enum Essays<'b> {
    /// It is a list of so many elements, of which [`ESSAYS_KEPT`] are kept.
    List { kept: Vec<Object<'b>>, count: usize },
    /// It is this instead.
    Other(&'static str),
}

/// A batch: its own members, and its essays read where they stand.
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

/// What a value is, by its first character.
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

/// The visits of values that are neither what is wanted nor worth more than their kind.
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
