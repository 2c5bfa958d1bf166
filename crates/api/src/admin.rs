//! Operators' operations on the outbox and on dead letters. The API and the command line share them.
//!
//! A server offers them under `/v1/outbox` and `/v1/dead-letters` to callers with the scope `admin`. `bos outbox` and
//! `bos dead-letter` use the same functions on a database that no server has open. No document contains a payload, an essay's
//! text or a name.

pub mod dead_letters;
pub mod outbox;
mod record;
pub(crate) mod routes;

use thiserror::Error;

/// A text is not a cursor of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a cursor of this list")]
pub struct BadCursor;
