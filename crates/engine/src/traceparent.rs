//! A place in a trace, as W3C Trace Context writes it: `00-<trace>-<span>-<flags>`.
//!
//! A batch is one trace, and its place is kept with its row, so that whatever comes back hours later, with a header of its own
//! or with none, is found to belong to it.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

/// A place in a trace: which trace, which of its spans, and whether anybody keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Traceparent {
    trace: NonZeroU128,
    span: NonZeroU64,
    sampled: bool,
}

/// A text that is no place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct NoTraceparent;

impl Traceparent {
    /// The header that carries it, in HTTP and on the bus.
    pub const HEADER: &'static str = contract::Header::TRACEPARENT;

    /// A span of this trace with an id of its own; none when the system gives no random numbers.
    pub fn draw(trace: NonZeroU128, sampled: bool) -> Option<Self> {
        let span = NonZeroU64::new(getrandom::u64().ok()?)?;
        Some(Self { trace, span, sampled })
    }

    /// Another span of the same trace.
    pub fn child(self) -> Option<Self> {
        Self::draw(self.trace, self.sampled)
    }

    /// The trace.
    pub const fn trace(self) -> NonZeroU128 {
        self.trace
    }

    /// The span within it.
    pub const fn span(self) -> NonZeroU64 {
        self.span
    }

    /// Whether the trace is kept: spans are made for no other.
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
    type Err = NoTraceparent;

    /// Takes later versions by what version 00 has of them, as the specification wants it.
    fn from_str(text: &str) -> Result<Self, NoTraceparent> {
        let mut parts = text.split('-');
        let mut hex = |digits: usize| {
            let part = parts.next().ok_or(NoTraceparent)?;
            let is_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if part.len() != digits || !is_hex {
                return Err(NoTraceparent);
            }
            u128::from_str_radix(part, 16).map_err(|_| NoTraceparent)
        };
        let version = hex(2)?;
        let (trace, span, flags) = (hex(32)?, hex(16)?, hex(2)?);
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return Err(NoTraceparent);
        }
        Ok(Self {
            trace: NonZeroU128::new(trace).ok_or(NoTraceparent)?,
            span: u64::try_from(span).ok().and_then(NonZeroU64::new).ok_or(NoTraceparent)?,
            sampled: flags & 1 == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_place_is_written_as_it_was_read() {
        let place: Traceparent = PLACE.parse().unwrap();
        assert!(place.is_sampled());
        assert_eq!(place.to_string(), PLACE);
        let other = place.child().unwrap();
        assert_eq!((other.trace(), other.is_sampled()), (place.trace(), true));
        assert_ne!(other.span(), place.span());
    }

    #[test]
    fn what_is_no_place_is_told_from_a_later_version() {
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
            assert_eq!(text.parse::<Traceparent>(), Err(NoTraceparent), "{text}");
        }
        let later: Traceparent =
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-what".parse().unwrap();
        assert!(!later.is_sampled());
    }
}
