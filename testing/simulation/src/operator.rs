//! An operator who retries or skips parked messages, as `bos outbox retry` and `bos outbox skip` do.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use engine::{Engine, Error};
use store::{Lane, WaitingRow};
use uuid::Uuid;

use crate::bus::{Bus, REFUSED};
use crate::chance::{Chance, Fault};

/// A page that is larger than the outbox ever gets in a run.
const ALL: u32 = 1_000;

/// A decision about a parked message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The bus accepts it from now on, and it is sent again.
    Retry,
    /// It is given up, and its key goes on without it.
    Skip,
}

/// The operator and its decisions. A decision is never changed, even when its outcome is unknown: a message
/// that the bus accepts by now may be on the bus, so it must not be given up.
#[derive(Debug)]
pub struct Operator {
    chance: Chance,
    decided: BTreeMap<Uuid, Verdict>,
    /// The share of messages that are given up, in percent.
    skip_percent: u8,
    /// The age from which a parked message is handled. The longest is longer than the time-out of a phase, so
    /// that later messages of its key wait behind it.
    min_age: TimeDelta,
}

impl Operator {
    /// An operator without decisions. In a calm run every message is retried, because results depend on it.
    pub fn new(chance: Chance, calm: bool) -> Self {
        let skip_percent = if calm { 0 } else { chance.pick(&[0, 50, 100]).unwrap_or_default() };
        let minutes = if calm { 0 } else { chance.pick(&[0, 0, 0, 40]).unwrap_or_default() };
        Self { chance, decided: BTreeMap::new(), skip_percent, min_age: TimeDelta::minutes(minutes) }
    }

    /// Whether the operator has decided to give this message up.
    pub fn gave_up(&self, event: Uuid) -> bool {
        self.decided.get(&event) == Some(&Verdict::Skip)
    }

    /// Retries or skips one parked message, if there is one that is old enough.
    ///
    /// # Errors
    /// When the store fails. The next turn reads whether the decision was carried out.
    pub async fn turn(&mut self, engine: &Engine, bus: &Bus) -> Result<(), Error> {
        let waiting = engine
            .store()
            .read(|tx| Box::pin(async move { Ok::<_, Error>(tx.outbox_rows(None, ALL).await?) }))
            .await?;
        let until = engine.clock().now() - self.min_age;
        let parked: Vec<&WaitingRow> =
            waiting.iter().filter(|row| row.parked && row.created_at <= until).collect();
        let Some(row) = self.chance.pick(&parked) else { return Ok(()) };
        let (shard, id) = (row.shard, row.id);
        let verdict = self.verdict(row);
        if verdict == Verdict::Retry {
            bus.accept_from_now_on(row.event_id);
        }
        let done = engine.store().unit(Lane::Caller, move |tx| {
            Box::pin(async move {
                Ok::<_, Error>(match verdict {
                    Verdict::Retry => tx.unpark_outbox(shard, id).await?,
                    Verdict::Skip => tx.skip_outbox(shard, id).await?,
                })
            })
        });
        if done.await? {
            self.chance.record(if verdict == Verdict::Retry { Fault::Unparked } else { Fault::Skipped });
        }
        Ok(())
    }

    /// Decides once per message. A message that was parked for another reason than a refusal may be on the
    /// bus, so it is never given up.
    fn verdict(&mut self, row: &WaitingRow) -> Verdict {
        let is_refused = row.error_code.as_deref() == Some(REFUSED);
        let (chance, skip_percent) = (&self.chance, self.skip_percent);
        *self.decided.entry(row.event_id).or_insert_with(|| {
            if is_refused && chance.percent(skip_percent) { Verdict::Skip } else { Verdict::Retry }
        })
    }
}
