//! Which rows of the outbox the relay reads.

use std::time::Duration;

use chrono::{DateTime, Utc};
use store::PendingRow;

use super::{SHARD_ROWS, WINDOW};
use crate::error::Error;
use crate::road::Engine;
use crate::tasks::low_water_marks::LowWaterMarks;
use crate::tasks::shards::Rotation;

/// The period after which the marks are forgotten: 2 s, chosen. A row gets its id before it is committed, so a smaller id may appear
/// after a larger one.
const MARKS_PERIOD: Duration = Duration::from_secs(2);

/// Reads the heads of the ordering keys, from the low-water marks on.
///
/// A mark is the smallest *pending* id and never the last one sent, which would skip rows that wait behind the head of their key.
#[derive(Debug)]
pub(super) struct HeadReader {
    marks: LowWaterMarks<i64>,
    advanced_at: Duration,
    rotation: Rotation,
}

impl Default for HeadReader {
    fn default() -> Self {
        Self {
            marks: LowWaterMarks::new(MARKS_PERIOD),
            advanced_at: Duration::ZERO,
            rotation: Rotation::default(),
        }
    }
}

impl HeadReader {
    /// Reads the heads of the ordering keys in these shards, and the time by the database's clock.
    pub(super) async fn read(
        &mut self,
        engine: &Engine,
        shards: Vec<i64>,
        now: Duration,
    ) -> Result<(Vec<PendingRow>, DateTime<Utc>), Error> {
        self.marks.forget_if_due(now);
        let marks = self.marks.of(self.rotation.next(shards));
        let window = u32::try_from(WINDOW).unwrap_or(u32::MAX);
        let heads = engine.store.read(move |tx| {
            Box::pin(async move {
                let heads = tx.outbox_heads(&marks, SHARD_ROWS, window).await?;
                Ok::<_, store::Error>((heads, tx.now()))
            })
        });
        Ok(heads.await?)
    }

    /// Advances the marks, at most once per relay period. Called after the heads are sent, so that no message waits for it.
    pub(super) async fn advance_marks(
        &mut self,
        engine: &Engine,
        shards: Vec<i64>,
        now: Duration,
    ) -> Result<(), Error> {
        if shards.is_empty() || now < self.advanced_at + engine.settings.relay_period {
            return Ok(());
        }
        let marks = self.marks.of(shards);
        let low = engine.store.read(move |tx| Box::pin(async move { tx.outbox_low(&marks).await })).await?;
        self.advanced_at = now;
        self.marks.set(low);
        Ok(())
    }
}
