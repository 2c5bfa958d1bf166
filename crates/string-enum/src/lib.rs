//! Enums whose variants are exact strings: on the wire, in the database, in the configuration and in answers.
//!
//! [`string_enum!`] writes each string once, beside its variant. The crate holds no vocabulary of its own, so that crates which
//! must not know each other (`domain`, `contract`) can share the macro.
//!
//! `strum` would do half of this: it needs the strings a second time for serde, has no error that names the vocabulary, and
//! its four derives per enum cost more build time than this crate, which depends on serde only.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// A string is not one of an enum's strings.
///
/// The string itself is not kept: it comes from outside and may be private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownString {
    /// What was expected, as in "not a known phase".
    pub expected: &'static str,
}

impl fmt::Display for UnknownString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a known {}", self.expected)
    }
}

impl std::error::Error for UnknownString {}

/// Declares an enum together with its strings: `ALL`, `as_str`, `Display`, `FromStr`, `Serialize` and `Deserialize`.
///
/// The literal after the enum's name says what a value is called in [`UnknownString`]. `FromStr` and `Deserialize` also
/// accept the spellings after a `|`; `as_str`, `Display` and `Serialize` always give the first one.
///
/// ```
/// string_enum::string_enum! {
///     /// How much is logged.
///     pub enum Level: "log level" {
///         /// Warnings and errors.
///         Warning = "warning" | "warn",
///         /// Errors only.
///         Error = "error",
///     }
/// }
///
/// assert_eq!("warn".parse(), Ok(Level::Warning));
/// assert_eq!(Level::Warning.as_str(), "warning");
/// assert_eq!("loud".parse::<Level>().unwrap_err().to_string(), "not a known log level");
/// ```
#[macro_export]
macro_rules! string_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $expected:literal {
            $($(#[$variant_meta:meta])* $variant:ident = $string:literal $(| $other:literal)*,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* #[doc = concat!("`", $string, "`")] $variant,)+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The exact string of this value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $string),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::UnknownString;

            fn from_str(string: &str) -> ::std::result::Result<Self, Self::Err> {
                match string {
                    $($string $(| $other)* => Ok(Self::$variant),)+
                    _ => Err($crate::UnknownString { expected: $expected }),
                }
            }
        }

        impl $crate::serde::Serialize for $name {
            fn serialize<S: $crate::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> $crate::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                $crate::deserialize(deserializer, $expected)
            }
        }
    };
}

/// For the expansion of [`string_enum!`].
#[doc(hidden)]
pub use serde;

/// Reads a string and parses it. For the expansion of [`string_enum!`].
///
/// # Errors
/// When the value is not a string, or not one that `T` knows. The error does not repeat the string.
#[doc(hidden)]
pub fn deserialize<'de, D, T>(deserializer: D, expected: &'static str) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: FromStr<Err = UnknownString>,
{
    struct Visitor<T>(&'static str, PhantomData<T>);

    impl<T: FromStr<Err = UnknownString>> serde::de::Visitor<'_> for Visitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a {}", self.0)
        }

        fn visit_str<E: serde::de::Error>(self, string: &str) -> Result<T, E> {
            string.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Visitor(expected, PhantomData))
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro declares public enums")]
mod tests {
    string_enum! {
        /// A colour.
        pub enum Colour: "colour" {
            /// Red.
            Red = "red",
            /// Grey, in two spellings.
            Grey = "grey" | "gray",
        }
    }

    #[test]
    fn each_value_converts_to_its_string_and_back() {
        for colour in Colour::ALL {
            assert_eq!(colour.as_str().parse(), Ok(*colour));
            let json = serde_json::to_string(colour).unwrap();
            assert_eq!(json, format!("\"{colour}\""));
            assert_eq!(serde_json::from_str::<Colour>(&json).unwrap(), *colour);
        }
        assert_eq!(format!("{:>5}", Colour::Red), "  red");
    }

    #[test]
    fn other_spellings_are_read_and_not_written() {
        assert_eq!("gray".parse(), Ok(Colour::Grey));
        assert_eq!(Colour::Grey.to_string(), "grey");
    }

    #[test]
    fn an_unknown_string_is_refused_without_being_repeated() {
        for string in ["mauve", "Red", "", " red"] {
            assert_eq!(string.parse::<Colour>().unwrap_err().to_string(), "not a known colour");
        }
        let error = serde_json::from_str::<Colour>("\"mauve\"").unwrap_err().to_string();
        assert!(error.starts_with("not a known colour") && !error.contains("mauve"), "{error}");
        assert!(serde_json::from_str::<Colour>("7").is_err());
    }
}
