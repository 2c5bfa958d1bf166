//! Where in the outbox the relay begins to look.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use store::{LowWaterMark, PendingRow};

use super::{OF_SHARD, WINDOW};
use crate::shards::Rotation;
use crate::{Engine, Error};

/// How often the marks go back to the beginning: a row with a smaller number may commit late.
const FROM_THE_START: Duration = Duration::from_secs(2);

/// The low-water marks: no row before a shard's is pending. They spare each look the scan of rows that are deleted and not
/// yet vacuumed, which a long transaction elsewhere can pin for hours. A mark is the smallest *pending* number, never the
/// last one taken: that would pass by rows that wait behind the head of their key.
#[derive(Debug, Default)]
pub(super) struct Marks {
    low: HashMap<i64, i64>,
    moved_at: Duration,
    reset_at: Duration,
    rotation: Rotation,
}

impl Marks {
    /// The heads of the keys of these shards, and when that was by the database's clock.
    pub(super) async fn look(
        &mut self,
        engine: &Engine,
        shards: Vec<i64>,
        now: Duration,
    ) -> Result<(Vec<PendingRow>, DateTime<Utc>), Error> {
        let shards = self.rotation.next(shards);
        if now >= self.reset_at + FROM_THE_START {
            self.reset_at = now;
            self.low.clear();
        }
        let marks = self.marks(shards);
        let window = u32::try_from(WINDOW).unwrap_or(u32::MAX);
        let look = engine.store.read(move |tx| {
            Box::pin(async move {
                let heads = tx.outbox_heads(&marks, OF_SHARD, window).await?;
                Ok::<_, store::Error>((heads, tx.now()))
            })
        });
        Ok(look.await?)
    }

    /// Moves the marks up now and then. After a look rather than with it, since messages wait for the latter.
    pub(super) async fn move_up(
        &mut self,
        engine: &Engine,
        shards: Vec<i64>,
        now: Duration,
    ) -> Result<(), Error> {
        if shards.is_empty() || now < self.moved_at + engine.settings.relay_period {
            return Ok(());
        }
        let marks = self.marks(shards);
        let low = engine.store.read(move |tx| Box::pin(async move { tx.outbox_low(&marks).await })).await?;
        self.moved_at = now;
        self.low.extend(low.into_iter().map(|mark: LowWaterMark| (mark.shard, mark.low)));
        Ok(())
    }

    fn marks(&self, shards: Vec<i64>) -> Vec<LowWaterMark> {
        let low = |shard| self.low.get(&shard).copied().unwrap_or(0);
        shards.into_iter().map(|shard| LowWaterMark { shard, low: low(shard) }).collect()
    }
}
