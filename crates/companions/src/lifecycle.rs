//! The Essay Lifecycle Service: knows the status of every essay of every batch, sends essays to the workers when it is
//! commanded to, and says when a phase has ended.
//!
//! It is as strict as the platform's own: it moves only essays that were registered, have their text and are ready for the
//! phase, and passes over everything else without a word; a text that overtakes the registration waits for it, a command that
//! overtakes the text does not. It differs in one thing: an essay may be commanded again into a phase that it has been
//! through (a retry), under another correlation id.
//!
//! **A turn** reads the batches its records are about, lets [`batch`] decide, publishes what is to be said, saves what has
//! changed in one write, and then the position on the bus is committed. A crash is harmless
//!
//! - before the publishing: nothing happened, the records come again;
//! - after it, or in its midst: the records come again, meet the same state and give the same events with the same ids and
//!   bytes, since ids and times follow from the records that caused them, one record at a time; receivers drop the second;
//! - after the saving: the records come again and meet a state that they have already changed, where each is a repetition:
//!   registered already, a text there already, a command known already, an essay that no longer waits. What was to be said was
//!   said before the state was saved.

mod announce;
mod batch;
mod table;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use contract::{Incoming, IncomingBody, NeighbourBody, ReadError, Topic, Verdict};
use engine::ports::{Delivery, Record};
use uuid::Uuid;

use crate::database::Database;
use crate::wire::{Cause, passed_over};
use crate::worker::{Bus, Reader, Trouble, Work};
use batch::{Batch, Registration, Reply};
use table::Rows;

/// Nobody in this process serves the other phases, so their commands are not even read.
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

/// What is to be said is published and saved when it is this much.
const PUBLISH_RECORDS: usize = 2_000;
/// When more essays than this are remembered, all are forgotten; they are read again when news of them comes.
const REMEMBERED_ESSAYS: usize = 20_000;

/// The service: its database, and the batches it has had to do with lately.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    database: Arc<Database>,
    bus: Bus,
    batches: HashMap<Uuid, Batch>,
}

/// A record that has been read.
struct Heard {
    batch_id: Uuid,
    cause: Cause,
    word: Word,
}

/// What it says.
enum Word {
    News(NeighbourBody),
    Spellchecked { essay_id: Uuid, verdict: Verdict, corrected_text_storage_id: Option<String> },
}

impl Lifecycle {
    pub(crate) fn new(database: Arc<Database>, bus: Bus) -> Self {
        Self { database, bus, batches: HashMap::new() }
    }

    /// Reads from the database what a turn needs and is not remembered.
    async fn remember(&mut self, heard: &[Heard]) -> Result<(), Trouble> {
        let mut unknown: Vec<Uuid> =
            heard.iter().map(|heard| heard.batch_id).filter(|id| !self.batches.contains_key(id)).collect();
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

    /// Publishes, and only then saves.
    async fn flush(&mut self, said: Vec<Record>) -> Result<(), Trouble> {
        self.bus.publish(said).await?;
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
    async fn turn(&mut self, deliveries: Vec<Delivery>) -> Result<(), Trouble> {
        let heard: Vec<Heard> = deliveries.iter().filter_map(|delivery| self.hear(delivery)).collect();
        self.remember(&heard).await?;
        let mut said = Vec::new();
        for Heard { batch_id, cause, word } in heard {
            let Some(batch) = self.batches.get_mut(&batch_id) else { continue };
            announce::announce(batch_id, reply(batch, word, &cause), &cause, &mut said);
            if said.len() >= PUBLISH_RECORDS {
                self.flush(std::mem::take(&mut said)).await?;
            }
        }
        self.flush(said).await?;
        if self.batches.values().map(|batch| 1 + batch.essays.len()).sum::<usize>() > REMEMBERED_ESSAYS {
            self.forget();
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.batches.clear();
    }
}

impl Lifecycle {
    fn hear(&self, delivery: &Delivery) -> Option<Heard> {
        hear(delivery, &self.bus).inspect_err(|error| passed_over(delivery, error)).ok().flatten()
    }
}

/// Reads a record; none where it is about no batch.
fn hear(delivery: &Delivery, bus: &Bus) -> Result<Option<Heard>, ReadError> {
    if delivery.topic == Topic::SpellcheckPhaseCompleted {
        let incoming = contract::read(delivery.topic, &delivery.value)?;
        let cause = Cause::of(&incoming, delivery, bus.clock.now());
        return Ok(spellchecked(incoming, cause));
    }
    let incoming = contract::read_neighbour(delivery.topic, &delivery.value)?;
    let cause = Cause::of(&incoming, delivery, bus.clock.now());
    Ok(batch_of(&incoming.body).map(|batch_id| Heard { batch_id, cause, word: Word::News(incoming.body) }))
}

fn spellchecked(incoming: Incoming, cause: Cause) -> Option<Heard> {
    let IncomingBody::EssaySpellchecked { essay_id, batch_id, verdict, corrected_text_storage_id, .. } =
        incoming.body
    else {
        return None;
    };
    let word = Word::Spellchecked { essay_id, verdict, corrected_text_storage_id };
    Some(Heard { batch_id: batch_id?, cause, word })
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

fn reply(batch: &mut Batch, word: Word, cause: &Cause) -> Reply {
    match word {
        Word::News(NeighbourBody::EssaysRegistered {
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
        // An upload's id is the id of the essay that it is the text of; any other text has no place in the batch.
        Word::News(NeighbourBody::EssayContentProvisioned { file_upload_id, text_storage_id, .. }) => {
            match Uuid::try_parse(&file_upload_id) {
                Ok(essay_id) => batch.provision(essay_id, text_storage_id, cause),
                Err(_) => Reply::Silence,
            }
        }
        Word::News(NeighbourBody::InitiatePhase { phase, essays, language, .. }) => {
            batch.command(phase, essays, language, cause)
        }
        Word::News(NeighbourBody::NlpAnalysed { succeeded, .. }) => batch.analysed(&succeeded, cause),
        Word::Spellchecked { essay_id, verdict, corrected_text_storage_id } => {
            batch.spellchecked(essay_id, verdict, corrected_text_storage_id, cause)
        }
        // The workers' business.
        Word::News(NeighbourBody::SpellcheckRequested { .. } | NeighbourBody::NlpRequested { .. }) => {
            Reply::Silence
        }
    }
}

#[cfg(test)]
mod tests;
