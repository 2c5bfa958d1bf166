//! Single essays: one file per verb.

mod document;
pub(super) mod show;
pub(super) mod trigger;

pub(super) use document::{EssayDocument, figures};
