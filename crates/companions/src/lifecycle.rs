//! The Essay Lifecycle Service: knows the status of every essay of every batch, sends essays to the workers
//! on command, and reports the end of each phase.
//!
//! It is as strict as the platform's service: a command moves only essays that were registered, have their
//! text and are in the entry status of the phase, and skips everything else silently. A text that arrives
//! before its registration is kept for it; a command that arrives too early is not kept. An outcome is a
//! snapshot of all essays whose status belongs to the phase, whichever command moved them, and there is none
//! while one of them is unfinished. Where `retries` is set, and only there, an essay may be commanded again into
//! a phase that it has been through, under another correlation id.
//!
//! **A turn** loads the batches that its records are about, lets [`batch`] decide, publishes the resulting
//! events, saves the changes in one write, and then commits the offset. A crash is harmless
//!
//! - before publishing: nothing happened, and the records are delivered again;
//! - during or after publishing: the records are delivered again, meet the same state and cause the same
//!   events with the same ids and bytes, because ids and times are derived from the causing records;
//!   receivers drop the duplicates;
//! - after saving: the records are delivered again and meet a state that they have already changed, where
//!   each is a repetition (already registered, text already known, essay not in the entry status any more,
//!   essay no longer waiting). Their events were published before the state was saved.

mod announce;
mod batch;
mod table;

/// What the lifecycle service answers about a batch over HTTP, where it runs in the process.
#[derive(Debug, Clone)]
pub struct LifecycleService {
    database: Arc<Database>,
}

impl LifecycleService {
    pub(crate) const fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

#[async_trait]
impl LifecycleStatus for LifecycleService {
    async fn statuses(&self, batch: Uuid) -> Result<EssayStatuses, LifecycleError> {
        let count = move |conn: &rusqlite::Connection| table::count_statuses(conn, batch);
        let statuses = self.database.read("count the statuses of a batch", count).await;
        let statuses = statuses.map_err(|_| LifecycleError::Unavailable { code: "lifecycle_unreachable" })?;
        if statuses.is_empty() {
            Err(LifecycleError::UnknownBatch)
        } else {
            Ok(statuses.into_iter().collect())
        }
    }
}

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use contract::{EssayStatuses, Incoming, IncomingBody, NeighbourBody, ReadError, Topic, Verdict};
use engine::ports::{Delivery, LifecycleError, LifecycleStatus, Record};
use uuid::Uuid;

use crate::database::Database;
use crate::misbehaviour::Misbehaviour;
use crate::wire::{Cause, log_skipped};
use crate::worker::{Bus, Reader, TurnError, Work};
use batch::{Batch, Registration, Reply};
use table::Rows;

/// Commands for other phases are not read, because this process has no worker for them.
pub(crate) const READER: Reader = Reader {
    consumer: "essay-lifecycle-service",
    topics: &[
        Topic::BatchEssaysRegistered,
        Topic::EssayContentProvisioned,
        Topic::SpellcheckInitiate,
        Topic::NlpInitiateV1,
        Topic::NlpInitiateV2,
        Topic::SpellcheckPhaseCompleted,
        Topic::BatchNlpAnalysisCompleted,
    ],
    limit: 500,
};

/// The number of events from which on a turn publishes and saves (chosen).
const PUBLISH_RECORDS: usize = 2_000;
/// The number of cached essays above which the cache is cleared (chosen).
const REMEMBERED_ESSAYS: usize = 20_000;

/// The service, with a cache of recently used batches.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    database: Arc<Database>,
    bus: Bus,
    batches: HashMap<Uuid, Batch>,
    /// Whether an essay may be commanded again into a phase that it has been through.
    retries: bool,
    /// Injected faults.
    misbehaviour: Misbehaviour,
}

/// A record that was parsed.
struct Received {
    batch_id: Uuid,
    cause: Cause,
    event: Event,
}

/// The content of a record.
enum Event {
    Incoming(NeighbourBody),
    Spellchecked { essay_id: Uuid, verdict: Verdict, corrected_text_storage_id: Option<String> },
}

impl Lifecycle {
    pub(crate) fn new(database: Arc<Database>, bus: Bus, retries: bool, misbehaviour: Misbehaviour) -> Self {
        Self { database, bus, batches: HashMap::new(), retries, misbehaviour }
    }

    /// Loads the batches of a turn that are not cached.
    async fn load(&mut self, received: &[Received]) -> Result<(), TurnError> {
        let mut unknown: Vec<Uuid> = received
            .iter()
            .map(|received| received.batch_id)
            .filter(|id| !self.batches.contains_key(id))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok(());
        }
        let load = move |conn: &rusqlite::Connection| {
            unknown.into_iter().map(|id| table::load(conn, id)).collect::<rusqlite::Result<Vec<Batch>>>()
        };
        let loaded = self.database.read("read the batches of a turn", load).await?;
        self.batches.extend(loaded.into_iter().map(|batch| (batch.id, batch)));
        Ok(())
    }

    /// Publishes, then saves.
    async fn flush(&mut self, outgoing: Vec<Record>) -> Result<(), TurnError> {
        self.bus.publish(outgoing).await?;
        let changed: Vec<Rows> = self.batches.values_mut().filter_map(Rows::changed).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let save = move |conn: &rusqlite::Connection| changed.iter().try_for_each(|rows| rows.save(conn));
        Ok(self.database.write("save the batches of a turn", save).await?)
    }
}

#[async_trait]
impl Work for Lifecycle {
    async fn turn(&mut self, deliveries: Vec<Delivery>) -> Result<(), TurnError> {
        let received: Vec<Received> = deliveries.iter().filter_map(|delivery| self.read(delivery)).collect();
        self.load(&received).await?;
        let mut outgoing = Vec::new();
        for Received { batch_id, cause, event } in received {
            let Some(batch) = self.batches.get_mut(&batch_id) else { continue };
            if matches!(event, Event::Incoming(NeighbourBody::InitiatePhase { .. }))
                && self.misbehaviour.forgets(cause.event_id)
            {
                continue;
            }
            let reply = reply(batch, event, &cause, self.retries);
            announce::append_records(batch_id, reply, &cause, &mut outgoing);
            if outgoing.len() >= PUBLISH_RECORDS {
                self.flush(std::mem::take(&mut outgoing)).await?;
            }
        }
        self.flush(outgoing).await?;
        if self.batches.values().map(|batch| 1 + batch.essays.len()).sum::<usize>() > REMEMBERED_ESSAYS {
            self.clear_cache();
        }
        Ok(())
    }

    fn clear_cache(&mut self) {
        self.batches.clear();
    }
}

impl Lifecycle {
    fn read(&self, delivery: &Delivery) -> Option<Received> {
        parse(delivery, &self.bus).inspect_err(|error| log_skipped(delivery, error)).ok().flatten()
    }
}

/// Parses a record; `None` when it is about no batch.
fn parse(delivery: &Delivery, bus: &Bus) -> Result<Option<Received>, ReadError> {
    if delivery.topic == Topic::SpellcheckPhaseCompleted {
        let incoming = contract::read(delivery.topic, &delivery.value)?;
        let cause = Cause::from_incoming(&incoming, delivery, bus.clock.now());
        return Ok(spellchecked(incoming, cause));
    }
    let incoming = contract::read_neighbour(delivery.topic, &delivery.value)?;
    let cause = Cause::from_incoming(&incoming, delivery, bus.clock.now());
    Ok(batch_of(&incoming.body).map(|batch_id| Received {
        batch_id,
        cause,
        event: Event::Incoming(incoming.body),
    }))
}

fn spellchecked(incoming: Incoming, cause: Cause) -> Option<Received> {
    let IncomingBody::EssaySpellchecked { essay_id, batch_id, verdict, corrected_text_storage_id, .. } =
        incoming.body
    else {
        return None;
    };
    let event = Event::Spellchecked { essay_id, verdict, corrected_text_storage_id };
    Some(Received { batch_id: batch_id?, cause, event })
}

fn batch_of(body: &NeighbourBody) -> Option<Uuid> {
    match body {
        NeighbourBody::EssaysRegistered { batch_id, .. }
        | NeighbourBody::EssayContentProvisioned { batch_id, .. }
        | NeighbourBody::InitiatePhase { batch_id, .. }
        | NeighbourBody::NlpRequested { batch_id, .. }
        | NeighbourBody::NlpAnalysed { batch_id, .. } => Some(*batch_id),
        NeighbourBody::SpellcheckRequested { batch_id, .. } => *batch_id,
    }
}

fn reply(batch: &mut Batch, event: Event, cause: &Cause, retries: bool) -> Reply {
    // Without retries a result is of the only command that has moved its essay into the phase.
    let command = retries.then_some(cause.correlation_id);
    match event {
        Event::Incoming(NeighbourBody::EssaysRegistered {
            expected_essay_count: expected,
            essay_ids,
            course_code,
            user_id,
            ..
        }) => {
            let Cause { event_id, correlation_id, .. } = *cause;
            let registration =
                Registration { event_id, correlation_id, expected, course_code, user_id, complete: false };
            batch.register(registration, &essay_ids, cause)
        }
        // The upload id is the essay id. Any other text does not belong to the batch.
        Event::Incoming(NeighbourBody::EssayContentProvisioned {
            file_upload_id, text_storage_id, ..
        }) => match Uuid::try_parse(&file_upload_id) {
            Ok(essay_id) => batch.provision(essay_id, text_storage_id, cause),
            Err(_) => Reply::None,
        },
        Event::Incoming(NeighbourBody::InitiatePhase { phase, essays, language, .. }) => {
            batch.command(phase, essays, language, cause, retries)
        }
        Event::Incoming(NeighbourBody::NlpAnalysed { succeeded, failed, .. }) => {
            batch.analysed(&succeeded, &failed, command)
        }
        Event::Spellchecked { essay_id, verdict, corrected_text_storage_id } => {
            batch.spellchecked(essay_id, verdict, corrected_text_storage_id, command)
        }
        // Requests for the workers.
        Event::Incoming(NeighbourBody::SpellcheckRequested { .. } | NeighbourBody::NlpRequested { .. }) => {
            Reply::None
        }
    }
}

#[cfg(test)]
mod tests;
