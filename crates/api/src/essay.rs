//! Single essays: one file per verb.

mod document;
pub(crate) mod show;
pub(crate) mod trigger;

pub(crate) use document::document;
