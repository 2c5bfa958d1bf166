//! The outcome of applying news, and the news of one unit with their outcomes.

use domain::{BatchId, Refusal};

use super::units::Numbered;
use crate::news::BatchNews;

/// The outcome of applying one piece of news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The batch changed and has this revision now.
    Changed {
        /// The new revision.
        revision: i64,
    },
    /// Accepted without a change: late news, or a request for what is already so.
    Unchanged,
    /// The message was applied before; its event id is in the inbox.
    Duplicate,
    /// The database has no such batch: the news is about a batch of another service.
    Foreign,
    /// The batch is ours, and the rules do not allow the news.
    Refused(Refusal),
}

impl Applied {
    /// A one-word label of the outcome, for metrics and tables.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "applied",
            Self::Unchanged => "unchanged",
            Self::Duplicate => "duplicate",
            Self::Foreign => "foreign",
            Self::Refused(_) => "refused",
        }
    }
}

/// The outcome of one piece of news that was retried in isolation when it failed together with others.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) batch: BatchId,
    /// `None` when the news cannot be applied.
    pub(crate) outcome: Option<Applied>,
}

/// One piece of news within a unit, with its outcome.
pub(super) struct Item<'n> {
    number: usize,
    pub(super) news: &'n BatchNews,
    /// `None` until the item is decided.
    outcome: Option<Applied>,
}

impl<'n> Item<'n> {
    pub(super) fn new(news: &'n Numbered<BatchNews>) -> Self {
        Self { number: news.number, news: &news.value, outcome: None }
    }

    pub(super) fn batch(&self) -> BatchId {
        self.news.batch
    }

    pub(super) fn is_undecided(&self) -> bool {
        self.outcome.is_none()
    }

    pub(super) fn set_outcome(&mut self, outcome: &Applied) {
        self.outcome = Some(outcome.clone());
    }

    pub(super) fn into_outcome(self) -> Numbered<Applied> {
        Numbered { number: self.number, value: self.outcome.unwrap_or(Applied::Unchanged) }
    }
}
