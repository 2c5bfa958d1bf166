//! Strings of a record, read without keeping more than is asked for.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// Reads a JSON string and converts it with `read`. The error names `expected` and does not repeat the string.
pub(crate) fn read_str<'de, D: Deserializer<'de>, T>(
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

/// An id of the Content Service: 1 to 128 of `0-9 A-Z a-z _ -`.
///
/// The service's own ids are 32 hexadecimal digits. The wider form allows another store, and no line end or path.
#[derive(Debug, Clone)]
pub(crate) struct StorageId(String);

impl<'de> Deserialize<'de> for StorageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_str(deserializer, "a storage id", |text| Self::is_valid(text).then(|| Self(text.to_owned())))
    }
}

impl StorageId {
    fn is_valid(text: &str) -> bool {
        (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    }

    pub(crate) fn into_inner(self) -> String {
        self.0
    }

    /// For `deserialize_with`, on a field that is a plain string.
    pub(crate) fn into_string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        Self::deserialize(deserializer).map(Self::into_inner)
    }
}
