//! `bos promote`: moves an embedded installation, including running batches, to PostgreSQL and Kafka.
//!
//! 1. The database is copied into `promotion/` in the data folder, and that copy is prepared (`preparation`): unread news is
//!    applied, texts are uploaded to the new Content Service and rows get their new ids, and every batch gets the news that
//!    other services process its phases from now on.
//! 2. The rows of the copy are inserted into the target, a page at a time, and both sides are compared (`target`, `checksum`).
//! 3. The source is marked as promoted and can no longer be served. Then the target is opened for serving.
//!
//! Every step is one or more transactions that may be repeated, so a run that was killed is continued by the next run. A server
//! refuses an incomplete target, and it refuses a source with the mark. So at no time can both be served.

mod checks;
mod checksum;
mod error;
mod preparation;
mod source;
mod tables;
mod target;
mod texts;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use store::promotion::{MovedTexts, Promoted};

pub use error::{Error, Refusal};

use crate::config::Config;
use checksum::Sum;
use preparation::Preparation;
use source::Source;
use target::Target;

/// The step that a promotion has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The database of the source is copied.
    CopyingSource,
    /// Unread news is applied to the copy.
    CatchingUp,
    /// Texts are uploaded to the new Content Service.
    MovingTexts,
    /// Batches get the news that other services process their phases.
    ReplacingServices,
    /// Rows of this table are inserted into the target.
    CopyingTable(&'static str),
    /// The target is compared with the copy and the source.
    Comparing,
}

/// A bound on the steps of a run, with which tests stop it as a kill would; the default has no bound.
#[derive(Debug, Default)]
pub struct StepLimit {
    left: Option<AtomicU64>,
}

impl StepLimit {
    /// Stops a run after this number of committed steps.
    pub fn new(steps: u64) -> Self {
        Self { left: Some(AtomicU64::new(steps)) }
    }

    /// Counts a committed step, and stops the run when none is left.
    fn step(&self) -> Result<(), Error> {
        let Some(left) = &self.left else { return Ok(()) };
        let goes_on = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        goes_on.map(drop).map_err(|_| Error::Stopped)
    }
}

/// The rows of one table in the source and in the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The name of the table.
    pub table: &'static str,
    /// Rows in the source.
    pub source_rows: u64,
    /// Rows in the target; `None` in a dry run.
    pub target_rows: Option<u64>,
    /// The start of the checksum over every value in the target, which equals that of the prepared copy.
    pub checksum: Option<String>,
}

/// The result of a promotion or of a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The server and the database of the target, without user name and password.
    pub to: String,
    /// Every table that moves.
    pub tables: Vec<Row>,
    /// Texts that got a new id from the new Content Service; in a dry run the texts that would.
    pub texts_moved: i64,
    /// Texts that keep their id, because they are not in the embedded Content Service.
    pub texts_kept: i64,
    /// Dead letters, which do not move, because they are offsets in the embedded log.
    pub dead_letters_left: i64,
    /// Whether an earlier run had finished, and this one had nothing to do.
    pub was_done: bool,
}

impl Report {
    fn of(to: &str, source: &[Sum], target: Option<&[Sum]>, texts: MovedTexts, dead_letters: i64) -> Self {
        let tables = store::promotion::TABLES.iter().enumerate().map(|(at, table)| Row {
            table: table.name,
            source_rows: source.get(at).map_or(0, Sum::rows),
            target_rows: target.and_then(|sums| sums.get(at)).map(Sum::rows),
            checksum: target.and_then(|sums| sums.get(at)).map(Sum::short),
        });
        Self {
            to: to.to_owned(),
            tables: tables.collect(),
            texts_moved: texts.moved,
            texts_kept: texts.kept,
            dead_letters_left: dead_letters,
            was_done: false,
        }
    }

    fn done_before(to: &str) -> Self {
        Self { was_done: true, ..Self::of(to, &[], None, MovedTexts::default(), 0) }
    }
}

/// A dry run: checks both sides and reports what a promotion would do, without changing anything.
///
/// # Errors
/// The first reason for which the promotion would be refused, or a failure of a dependency.
pub async fn dry_run(config: &Config) -> Result<Report, Error> {
    let source = Source::open(config)?;
    let report = async {
        let target = Target::reach(config).await?;
        let report = async {
            target.refuse_others(None).await?;
            checks::neighbours(config).await?;
            source.refuse_where_promoted().await?;
            let sums = source.sums().await?;
            let texts = MovedTexts { moved: source.count_texts().await?, ..MovedTexts::default() };
            Ok(Report::of(&target.to, &sums, None, texts, source.dead_letters().await?))
        };
        let report = report.await;
        target.close().await;
        report
    };
    let report = report.await;
    source.close().await;
    report
}

/// Moves the installation in the configuration's data folder to its PostgreSQL, Kafka and Content Service. `tell` is called at
/// each step.
///
/// # Errors
/// The promotion is refused, or a dependency failed. Finished steps are kept, and the next run continues after them.
pub async fn run(
    config: &Config,
    limit: &StepLimit,
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<Report, Error> {
    let source = Source::open(config)?;
    let outcome = async {
        let target = Target::connect(config).await?;
        let done = promote(config, &source, &target, limit, tell).await;
        target.close().await;
        done
    };
    let outcome = outcome.await;
    source.close().await;
    outcome
}

async fn promote(
    config: &Config,
    source: &Source,
    target: &Target,
    limit: &StepLimit,
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<Report, Error> {
    if let Some(promoted) = source.promoted().await? {
        return finish_again(source, target, promoted).await;
    }
    checks::neighbours(config).await?;
    let folder = source.folder().join("promotion");
    let claimed = target.claimed().await?;
    if claimed.is_none() {
        target.refuse_others(None).await?;
    }
    tell(Progress::CopyingSource);
    let sums = source.sums().await?;
    let preparation = Preparation::open(source, &sums, &folder, limit).await?;
    let outcome = async {
        target.refuse_others(Some(preparation.id)).await?;
        preparation.run(config, limit, tell).await?;
        target.claim(preparation.id).await?;
        limit.step()?;
        target.copy_tables(&preparation, limit, tell).await?;
        tell(Progress::Comparing);
        let poured = target.compare(&preparation, &sums).await?;
        let texts = preparation.texts().await?;
        Ok(Report::of(&target.to, &sums, Some(&poured), texts, source.dead_letters().await?))
    };
    let outcome: Result<Report, Error> = outcome.await;
    let id = preparation.id;
    preparation.close().await;
    let report = outcome?;
    // The mark ends the source. A kill between the mark and `open` leaves neither side to be served, and the next run opens the
    // target.
    source.mark(id, &target.to).await?;
    limit.step()?;
    target.open(id).await?;
    limit.step()?;
    tidy_up(&folder);
    Ok(report)
}

/// Repeats the last steps for a source that has its mark: opens the target and deletes the copy, if that was not done.
async fn finish_again(source: &Source, target: &Target, promoted: Promoted) -> Result<Report, Error> {
    match target.claimed().await? {
        Some(promotion) if promotion.id == promoted.id => {
            if !promotion.is_done {
                target.open(promotion.id).await?;
            }
            tidy_up(&source.folder().join("promotion"));
            Ok(Report::done_before(&target.to))
        }
        Some(_) | None => Err(Refusal::AlreadyPromoted { to: promoted.to, at: promoted.at }.into()),
    }
}

/// Deletes the copy. A copy that cannot be deleted does no harm.
fn tidy_up(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "cannot delete the folder `promotion`; delete it by hand");
    }
}
