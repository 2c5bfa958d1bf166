//! Where in the outbox the relay starts to read.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use store::{LowWaterMark, PendingRow};

use super::{SHARD_ROWS, WINDOW};
use crate::error::Error;
use crate::road::Engine;
use crate::tasks::shards::Rotation;

/// The period at which the marks are reset to the beginning, because a row with a smaller id may commit later than a larger one.
const RESET_PERIOD: Duration = Duration::from_secs(2);

/// The low-water marks: per shard, the id below which no row is pending.
///
/// They keep a read from scanning rows that are deleted and not yet vacuumed, which a long transaction elsewhere can pin for
/// hours. A mark is the smallest *pending* id and never the last one sent, which would skip rows that wait behind the head of
/// their key.
#[derive(Debug, Default)]
pub(super) struct LowWaterMarks {
    low: HashMap<i64, i64>,
    advanced_at: Duration,
    reset_at: Duration,
    rotation: Rotation,
}

impl LowWaterMarks {
    /// Reads the heads of the ordering keys in these shards, and the time by the database's clock.
    pub(super) async fn read_heads(
        &mut self,
        engine: &Engine,
        shards: Vec<i64>,
        now: Duration,
    ) -> Result<(Vec<PendingRow>, DateTime<Utc>), Error> {
        let shards = self.rotation.next(shards);
        if now >= self.reset_at + RESET_PERIOD {
            self.reset_at = now;
            self.low.clear();
        }
        let marks = self.marks(shards);
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
    pub(super) async fn advance(
        &mut self,
        engine: &Engine,
        shards: Vec<i64>,
        now: Duration,
    ) -> Result<(), Error> {
        if shards.is_empty() || now < self.advanced_at + engine.settings.relay_period {
            return Ok(());
        }
        let marks = self.marks(shards);
        let low = engine.store.read(move |tx| Box::pin(async move { tx.outbox_low(&marks).await })).await?;
        self.advanced_at = now;
        self.low.extend(low.into_iter().map(|mark: LowWaterMark| (mark.shard, mark.low)));
        Ok(())
    }

    fn marks(&self, shards: Vec<i64>) -> Vec<LowWaterMark> {
        let low = |shard| self.low.get(&shard).copied().unwrap_or(0);
        shards.into_iter().map(|shard| LowWaterMark { shard, low: low(shard) }).collect()
    }
}
