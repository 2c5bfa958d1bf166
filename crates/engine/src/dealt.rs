//! What comes of a message from the bus.

use domain::{BatchId, Refusal};

use crate::Applied;

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dealt {
    /// It is applied, or there was nothing to apply; never refused.
    Applied(Applied),
    /// It cannot be understood, or is impossible about our own.
    Unusable(Unusable),
}

/// Why a message is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusable {
    /// A stable code.
    pub code: &'static str,
    /// It came too early: it may be of use once this batch is past this revision.
    pub until: Option<(BatchId, i64)>,
}

impl Unusable {
    pub(crate) const fn for_good(code: &'static str) -> Dealt {
        Dealt::Unusable(Self { code, until: None })
    }

    pub(crate) fn by(refusal: &Refusal, batch: BatchId) -> Dealt {
        let revision = if let Refusal::TooEarly { revision } = refusal { Some(*revision) } else { None };
        let until = revision.map(|revision| (batch, revision));
        Dealt::Unusable(Self { code: refusal.code(), until })
    }
}
