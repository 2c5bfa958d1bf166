//! An embedded installation moves onto PostgreSQL and Kafka, running batches included.
//!
//! 1. The data folder is copied into `promotion/` inside it. Everything difficult is done in that copy (`preparation`): news
//!    that lies unread is applied, texts go to the Content Service and rows get their new ids, and every batch is told that
//!    other neighbours serve from now on.
//! 2. Its rows are poured into the target, page by page, and compared (`target`, `checksum`).
//! 3. The source is marked as promoted, which ends it; then the target may be served.
//!
//! Each arrow between two steps is one transaction, so a run that is killed is gone on with by the next one. Nobody can serve
//! from a target that is not whole, and from the mark on nobody can serve from the source: never both.

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

/// What a promotion has come to, for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The source is being copied.
    Copying,
    /// News that lies unread is being applied.
    CatchingUp,
    /// Texts go to the Content Service.
    MovingTexts,
    /// Batches are told of their new neighbours.
    ReplacingNeighbours,
    /// Rows of this table go to the target.
    Pouring(&'static str),
    /// Both sides are compared.
    Comparing,
}

/// How far a run may go: for tests, which end it after so many steps as a kill would.
#[derive(Debug, Default)]
pub struct Pace {
    left: Option<AtomicU64>,
}

impl Pace {
    /// At most so many steps.
    pub fn steps(steps: u64) -> Self {
        Self { left: Some(AtomicU64::new(steps)) }
    }

    /// One more thing is committed.
    fn step(&self) -> Result<(), Error> {
        let Some(left) = &self.left else { return Ok(()) };
        let goes_on = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        goes_on.map(drop).map_err(|_| Error::Stopped)
    }
}

/// One table on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name.
    pub table: &'static str,
    /// Rows in the source.
    pub source_rows: u64,
    /// Rows in the target; none before they are there.
    pub target_rows: Option<u64>,
    /// A checksum over every value of the target's rows, which is that of the prepared copy's.
    pub checksum: Option<String>,
}

/// What was done, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The server and the database, without who logs in and how.
    pub to: String,
    /// Table by table.
    pub tables: Vec<Row>,
    /// Texts with a new id.
    pub texts_moved: i64,
    /// Texts that keep their id, because the embedded Content Service does not have them.
    pub texts_kept: i64,
    /// Messages that were set aside. They stay behind: they are places on the embedded log.
    pub dead_letters_left: i64,
    /// It was done before, and nothing was left to do.
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

/// Looks at both sides and says what would be done. Nothing is changed.
///
/// # Errors
/// What stands in the way.
pub async fn look(config: &Config) -> Result<Report, Error> {
    let source = Source::open(config)?;
    let looked = async {
        let target = Target::reach(config).await?;
        let seen = async {
            target.refuse_others(None).await?;
            checks::neighbours(config).await?;
            source.refuse_where_promoted().await?;
            let sums = source.sums().await?;
            let texts = MovedTexts { moved: source.count_texts().await?, ..MovedTexts::default() };
            Ok(Report::of(&target.to, &sums, None, texts, source.dead_letters().await?))
        };
        let seen = seen.await;
        target.close().await;
        seen
    };
    let looked = looked.await;
    source.close().await;
    looked
}

/// Moves the installation of this configuration's data folder to its PostgreSQL, Kafka and Content Service.
///
/// # Errors
/// What stands in the way. Everything done so far stands, and another run goes on from there.
pub async fn run(config: &Config, pace: &Pace, tell: &(dyn Fn(Progress) + Sync)) -> Result<Report, Error> {
    let source = Source::open(config)?;
    let outcome = async {
        let target = Target::connect(config).await?;
        let done = promote(config, &source, &target, pace, tell).await;
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
    pace: &Pace,
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
    tell(Progress::Copying);
    let sums = source.sums().await?;
    let preparation = Preparation::open(source, &sums, &folder, pace).await?;
    let outcome = async {
        target.refuse_others(Some(preparation.id)).await?;
        preparation.run(config, pace, tell).await?;
        target.claim(preparation.id).await?;
        pace.step()?;
        target.pour(&preparation, pace, tell).await?;
        tell(Progress::Comparing);
        let poured = target.compare(&preparation, &sums).await?;
        let texts = preparation.texts().await?;
        Ok(Report::of(&target.to, &sums, Some(&poured), texts, source.dead_letters().await?))
    };
    let outcome: Result<Report, Error> = outcome.await;
    let id = preparation.id;
    preparation.close().await;
    let report = outcome?;
    // From here on nobody serves from the source; from the next line but one on, everybody from the target.
    source.mark(id, &target.to).await?;
    pace.step()?;
    target.open(id).await?;
    pace.step()?;
    tidy_up(&folder);
    Ok(report)
}

/// A source that says where it went: the last steps may be missing.
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

/// The copy has served its time. One that cannot be deleted does no harm.
fn tidy_up(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "the folder `promotion` can be deleted by hand");
    }
}
