//! Builds records from a reply of the lifecycle service.

use contract::{
    BatchContentProvisioningCompleted, BatchNlpProcessingRequestedV2, ElsBatchPhaseOutcome, EssayRef,
    Language, PhaseName, Source, SpellcheckRequested, Topic,
};
use engine::ports::Record;
use uuid::Uuid;

use super::batch::Reply;
use crate::wire::{Address, Cause, record};

/// Appends the records of a reply. Ids and times are derived from the cause, so the same reply gives the same
/// bytes.
pub(super) fn append_records(batch_id: Uuid, reply: Reply, cause: &Cause, out: &mut Vec<Record>) {
    match reply {
        Reply::None => {}
        Reply::ContentComplete { registered_by, expected, course_code, user_id, essays } => {
            let to = address(Topic::BatchContentProvisioningCompleted, batch_id);
            let (correlation_id, at) = (registered_by.correlation_id, registered_by.at);
            let event = BatchContentProvisioningCompleted::new(
                batch_id,
                &essays,
                expected,
                course_code,
                &user_id,
                correlation_id,
                at,
            );
            out.push(record(to, &registered_by, "", at, event));
        }
        Reply::Requests { phase: PhaseName::Spellcheck, language, essays } => {
            out.extend(essays.iter().map(|essay| spellcheck_request(batch_id, essay, language, cause)));
        }
        Reply::Requests { essays, language, .. } => {
            let to = address(Topic::BatchNlpProcessingRequestedV2, batch_id);
            let event = BatchNlpProcessingRequestedV2::new(batch_id, &essays, language, None, cause.at);
            out.push(record(to, cause, "", cause.at, event));
        }
        Reply::Outcome { phase, processed, failed } => {
            let to = address(Topic::BatchPhaseOutcome, batch_id);
            let event = ElsBatchPhaseOutcome::new(batch_id, phase, &processed, &failed, cause.correlation_id);
            out.push(record(to, cause, "", cause.at, event));
        }
    }
}

fn spellcheck_request(batch_id: Uuid, essay: &EssayRef, language: Language, cause: &Cause) -> Record {
    let to = address(Topic::EssaySpellcheckRequested, batch_id);
    let event =
        SpellcheckRequested::new(essay.essay_id, Some(batch_id), &essay.text_storage_id, language, cause.at);
    record(to, cause, &essay.essay_id.to_string(), cause.at, event)
}

const fn address(topic: Topic, batch_id: Uuid) -> Address {
    Address { topic, source: Source::EssayLifecycleService, key: batch_id }
}
