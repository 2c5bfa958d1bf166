//! The trace context of W3C Trace Context: `00-<trace>-<span>-<flags>`.
//!
//! A batch is one trace. Its trace context is stored in its row, so that messages that arrive hours later, with a header of their
//! own or without one, belong to the same trace.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

/// A trace context: the id of the trace, the id of a span in it, and whether the trace is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Traceparent {
    trace: NonZeroU128,
    span: NonZeroU64,
    sampled: bool,
}

/// The text is not a valid `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct InvalidTraceparent;

impl Traceparent {
    /// The name of the header, in HTTP and on the bus.
    pub const HEADER: &'static str = contract::Header::TRACEPARENT;

    /// A trace context in this trace with a new random span id; `None` when the operating system gives no random numbers.
    pub fn with_random_span(trace: NonZeroU128, sampled: bool) -> Option<Self> {
        let span = NonZeroU64::new(getrandom::u64().ok()?)?;
        Some(Self { trace, span, sampled })
    }

    /// A trace context in the same trace with a new random span id.
    pub fn child(self) -> Option<Self> {
        Self::with_random_span(self.trace, self.sampled)
    }

    /// The id of the trace.
    pub const fn trace(self) -> NonZeroU128 {
        self.trace
    }

    /// The id of the span.
    pub const fn span(self) -> NonZeroU64 {
        self.span
    }

    /// Whether the trace is sampled. Spans are made for sampled traces only.
    pub const fn is_sampled(self) -> bool {
        self.sampled
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, sampled } = self;
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", u8::from(*sampled))
    }
}

impl FromStr for Traceparent {
    type Err = InvalidTraceparent;

    /// Parses version 00, and of later versions the fields of version 00, as the specification requires.
    fn from_str(text: &str) -> Result<Self, InvalidTraceparent> {
        let mut parts = text.split('-');
        let mut hex = |digits: usize| {
            let part = parts.next().ok_or(InvalidTraceparent)?;
            let is_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if part.len() != digits || !is_hex {
                return Err(InvalidTraceparent);
            }
            u128::from_str_radix(part, 16).map_err(|_| InvalidTraceparent)
        };
        let version = hex(2)?;
        let (trace, span, flags) = (hex(32)?, hex(16)?, hex(2)?);
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return Err(InvalidTraceparent);
        }
        Ok(Self {
            trace: NonZeroU128::new(trace).ok_or(InvalidTraceparent)?,
            span: u64::try_from(span).ok().and_then(NonZeroU64::new).ok_or(InvalidTraceparent)?,
            sampled: flags & 1 == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_written_as_it_was_read() {
        let parent: Traceparent = TRACEPARENT.parse().unwrap();
        assert!(parent.is_sampled());
        assert_eq!(parent.to_string(), TRACEPARENT);
        let child = parent.child().unwrap();
        assert_eq!((child.trace(), child.is_sampled()), (parent.trace(), true));
        assert_ne!(child.span(), parent.span());
    }

    #[test]
    fn invalid_texts_are_rejected_and_later_versions_are_parsed() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(text.parse::<Traceparent>(), Err(InvalidTraceparent), "{text}");
        }
        let later: Traceparent =
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-what".parse().unwrap();
        assert!(!later.is_sampled());
    }
}
