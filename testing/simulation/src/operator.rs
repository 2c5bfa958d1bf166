//! An operator, who decides about parked messages as `bos outbox retry` and `bos outbox skip` do.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use engine::{Engine, Error};
use store::{Lane, WaitingRow};
use uuid::Uuid;

use crate::bus::{Bus, REFUSED};
use crate::chance::{Chance, Fault};

/// More messages than ever wait.
const ALL: u32 = 1_000;

/// What is done with a parked message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The bus is made to take it, and it is sent again.
    Retry,
    /// It is given up, and its key goes on without it.
    Skip,
}

/// The operator, and what was decided. Who has decided stays with it, also when nobody said whether it was done: a message
/// that the bus takes by now, and may have, is not given up any more.
#[derive(Debug)]
pub struct Operator {
    chance: Chance,
    decided: BTreeMap<Uuid, Verdict>,
    /// How often a message is given up, in percent.
    resigned: u8,
    /// How old a parked message is before anybody sees to it. The longest is longer than a phase may take, so that what comes
    /// after it waits behind it.
    late: TimeDelta,
}

impl Operator {
    /// One who has decided nothing. In a calm run every message is sent again, since results would depend on it.
    pub fn new(chance: Chance, calm: bool) -> Self {
        let resigned = if calm { 0 } else { chance.pick(&[0, 50, 100]).unwrap_or_default() };
        let minutes = if calm { 0 } else { chance.pick(&[0, 0, 0, 40]).unwrap_or_default() };
        Self { chance, decided: BTreeMap::new(), resigned, late: TimeDelta::minutes(minutes) }
    }

    /// Whether it was decided to give this message up.
    pub fn gave_up(&self, event: Uuid) -> bool {
        self.decided.get(&event) == Some(&Verdict::Skip)
    }

    /// Decides about one parked message, if there is one that is old enough.
    ///
    /// # Errors
    /// When the store does not answer; whether it is done is seen the next time.
    pub async fn turn(&mut self, engine: &Engine, bus: &Bus) -> Result<(), Error> {
        let waiting = engine
            .store()
            .read(|tx| Box::pin(async move { Ok::<_, Error>(tx.outbox_rows(ALL).await?) }))
            .await?;
        let until = engine.clock().now() - self.late;
        let parked: Vec<&WaitingRow> =
            waiting.iter().filter(|row| row.parked && row.created_at <= until).collect();
        let Some(row) = self.chance.pick(&parked) else { return Ok(()) };
        let (shard, id) = (row.shard, row.id);
        let verdict = self.verdict(row);
        if verdict == Verdict::Retry {
            bus.take_from_now_on(row.event_id);
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
            self.chance.happened(if verdict == Verdict::Retry { Fault::Unparked } else { Fault::Skipped });
        }
        Ok(())
    }

    /// What the bus failed to take for another reason than a refusal may be on it, so it is never given up.
    fn verdict(&mut self, row: &WaitingRow) -> Verdict {
        let is_refused = row.error_code.as_deref() == Some(REFUSED);
        let (chance, resigned) = (&self.chance, self.resigned);
        *self.decided.entry(row.event_id).or_insert_with(|| {
            if is_refused && chance.percent(resigned) { Verdict::Skip } else { Verdict::Retry }
        })
    }
}
