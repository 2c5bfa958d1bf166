//! From the bytes of a record to the raw fields of its payload, in one pass.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use uuid::Uuid;

use super::{Incoming, MAX_DEPTH, MAX_VALUE_BYTES, ReadError};
use crate::time::Timestamp;

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct RawEnvelope<T> {
    event_id: Option<Uuid>,
    event_timestamp: Option<Timestamp>,
    correlation_id: Option<Uuid>,
    data: Option<Object<T>>,
}

/// A value that must be a JSON object. Serde alone would also accept an array, field by field.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
            }
        }
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// Parses the envelope of a record with the raw payload `T`.
pub(super) fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<Incoming<T>, ReadError> {
    let json = checked(bytes)?;
    let raw: RawEnvelope<T> = serde_json::from_str(json).map_err(|error| explain::<T>(json, &error))?;
    let Object(body) = raw.data.ok_or(ReadError::NotAnEnvelope)?;
    Ok(Incoming {
        event_id: raw.event_id.unwrap_or_else(|| Uuid::new_v5(&Uuid::NAMESPACE_OID, bytes)),
        correlation_id: raw.correlation_id,
        at: raw.event_timestamp.map(Timestamp::get),
        body,
    })
}

impl<T> Incoming<T> {
    /// Converts the raw payload.
    pub(super) fn try_map<B>(
        self,
        body: impl FnOnce(T) -> Result<B, ReadError>,
    ) -> Result<Incoming<B>, ReadError> {
        Ok(Incoming {
            event_id: self.event_id,
            correlation_id: self.correlation_id,
            at: self.at,
            body: body(self.body)?,
        })
    }
}

/// Checks what needs no parsing: size, encoding, depth, and that the value is an object.
fn checked(bytes: &[u8]) -> Result<&str, ReadError> {
    if bytes.len() > MAX_VALUE_BYTES {
        return Err(ReadError::TooLarge { bytes: bytes.len() });
    }
    let json = std::str::from_utf8(bytes).map_err(|_| ReadError::NotUtf8)?;
    if json.trim_ascii().is_empty() {
        return Err(ReadError::Empty);
    }
    if depth(bytes) > MAX_DEPTH {
        return Err(ReadError::TooDeep);
    }
    // Tells other JSON values, which are not an envelope, from text that is not JSON.
    if json.trim_ascii_start().starts_with('{') {
        return Ok(json);
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(json) {
        Ok(_) => Err(ReadError::NotAnEnvelope),
        Err(error) => Err(not_json(&error)),
    }
}

/// The depth of brackets outside of strings.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn not_json(error: &serde_json::Error) -> ReadError {
    ReadError::NotJson { line: error.line(), column: error.column() }
}

/// Converts an error of serde, whose message would quote the record.
///
/// Only the kind of the error is taken from serde. The path comes from a second parse, which only a refused record costs. It
/// holds names of our own fields and positions in lists: objects with other keys are read by visitors that refuse nothing
/// ([`super::fields::Reference`]).
#[cold]
fn explain<T: DeserializeOwned>(json: &str, error: &serde_json::Error) -> ReadError {
    if error.classify() != Category::Data {
        return not_json(error);
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    match serde_path_to_error::deserialize::<_, RawEnvelope<T>>(&mut deserializer) {
        Err(error) => ReadError::WrongType { path: error.path().to_string() },
        Ok(_) => not_json(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count_as_depth() {
        assert_eq!(depth(br#"{"a": ["[[[[", "\"[[["]}"#), 2);
        assert_eq!(depth(b"]]]][["), 2);
    }
}
