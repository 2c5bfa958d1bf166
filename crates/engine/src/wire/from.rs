//! The platform's messages → news. Besides [`super::to`], the only file that uses both `contract` and `domain`.

use contract::{
    CourseCode, EssayStatuses, Incoming, IncomingBody, NlpFigures, PhaseName, PhaseProgress,
    SpellcheckFigures, Verdict,
};
use domain::{BatchId, CorrelationId, EssayId, Language, LifecycleAnswer, OutcomeStatus, Phase, StorageId};
use store::{EssayReport, Precision};
use uuid::Uuid;

use crate::news::{BatchNews, Cause, ConsumedMessage, News, Origin};
use crate::ports::Delivery;

/// All course codes of the platform, each with its language, for the validation of requests.
pub fn courses() -> impl Iterator<Item = (&'static str, Language)> {
    CourseCode::ALL.iter().map(|course| {
        let language = match course.language() {
            contract::Language::English => Language::En,
            contract::Language::Swedish => Language::Sv,
        };
        (course.as_str(), language)
    })
}

/// A message as it was read.
pub(crate) enum Read {
    /// News about a batch whose id has the form of ours. Only the database shows whether the batch is ours.
    News(Box<BatchNews>),
    /// About a batch of another service: its id does not have the form of ours, or BOS does not read such messages.
    Foreign,
    /// The essay's id names one batch, and the message names another. It is a contradiction if the essay's batch is ours, which
    /// only the database shows.
    Contradiction {
        /// The batch that the essay's id names.
        batch: BatchId,
    },
    /// The message cannot be decoded.
    Undecodable {
        /// The reason, as a stable code.
        code: &'static str,
    },
}

/// Reads one message.
pub(crate) fn read(delivery: &Delivery) -> Read {
    let incoming = match contract::read(delivery.topic, &delivery.value) {
        Ok(incoming) => incoming,
        Err(error) if error.is_foreign() => return Read::Foreign,
        Err(error) => return Read::Undecodable { code: error.code() },
    };
    let Incoming { event_id, correlation_id, body, .. } = incoming;
    if let Some(batch) = contradicted_batch(&body) {
        return Read::Contradiction { batch };
    }
    let Some((batch, news)) = news(body, correlation_id.map(CorrelationId)) else { return Read::Foreign };
    let message = ConsumedMessage {
        event_id,
        topic: delivery.topic.as_str(),
        partition: delivery.partition,
        offset: delivery.offset,
    };
    let cause = Cause { origin: Origin::Bus(message), correlation: correlation_id, trace: delivery.trace };
    Read::News(Box::new(BatchNews { batch, news, cause }))
}

/// The row (inbox or dead letter) that must exist once the consumer offset has passed a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// No row: the message is about a batch of another service.
    NoRow,
    /// An inbox row, because the message was applied, or a dead letter. No row if there is no such batch.
    InboxOrDeadLetter {
        /// The event id of the message.
        event: Uuid,
        /// The batch that the message is about.
        batch: Uuid,
    },
    /// A dead letter.
    DeadLetter {
        /// The batch whose essay the message contradicts; no row if there is no such batch. `None` for a message that cannot be
        /// decoded: then the dead letter must always exist.
        batch: Option<Uuid>,
    },
}

/// The row that this message must have left once the consumer offset has passed it. It reads the message as the consumer does.
pub fn expected_evidence(delivery: &Delivery) -> Expectation {
    match read(delivery) {
        Read::News(news) => {
            let BatchNews { batch, cause, .. } = *news;
            match cause.origin {
                Origin::Bus(message) => {
                    Expectation::InboxOrDeadLetter { event: message.event_id, batch: batch.as_uuid() }
                }
                Origin::Caller(_) | Origin::Task(_) => Expectation::NoRow,
            }
        }
        Read::Foreign => Expectation::NoRow,
        Read::Contradiction { batch } => Expectation::DeadLetter { batch: Some(batch.as_uuid()) },
        Read::Undecodable { .. } => Expectation::DeadLetter { batch: None },
    }
}

fn news(body: IncomingBody, correlation: Option<CorrelationId>) -> Option<(BatchId, News)> {
    match body {
        IncomingBody::EssaySpellchecked {
            essay_id,
            verdict,
            corrected_text_storage_id,
            reason,
            figures,
            batch_id: _,
        } => {
            let essay = EssayId::try_from(essay_id).ok()?;
            let report = EssayReport {
                essay_id: essay,
                succeeded: verdict == Verdict::Succeeded,
                text_storage_id: corrected_text_storage_id.and_then(|id| StorageId::try_from(id).ok()),
                precision: precision(reason.as_ref()),
                error_code: (verdict == Verdict::Failed)
                    .then(|| reason.map_or_else(|| "spellcheck_failed".to_owned(), |reason| reason.code)),
                figures: figures.map(spellcheck_figures),
            };
            Some((
                essay.batch(),
                News::EssaysReported { phase: Phase::Spellcheck, correlation, reports: vec![report] },
            ))
        }
        IncomingBody::EssayNlpDone { essay_id, figures, batch_id: _ } => {
            let essay = EssayId::try_from(essay_id).ok()?;
            let report = EssayReport {
                essay_id: essay,
                succeeded: true,
                text_storage_id: None,
                error_code: None,
                precision: Precision::Vague,
                figures: Some(nlp_figures(figures)),
            };
            Some((
                essay.batch(),
                News::EssaysReported { phase: Phase::Nlp, correlation, reports: vec![report] },
            ))
        }
        IncomingBody::PhaseOutcome { batch_id, phase, outcome, processed, failed } => {
            let batch = BatchId::from_uuid(batch_id).ok()?;
            let own = |id: Uuid| EssayId::try_from(id).ok().filter(|essay| essay.batch() == batch);
            let processed = processed
                .into_iter()
                .filter_map(|essay| {
                    Some((own(essay.essay_id)?, StorageId::try_from(essay.text_storage_id).ok()?))
                })
                .collect();
            let failed = failed.into_iter().filter_map(own).collect();
            let word = match outcome {
                contract::OutcomeStatus::CompletedSuccessfully => OutcomeStatus::Succeeded,
                contract::OutcomeStatus::CompletedWithFailures => OutcomeStatus::WithFailures,
                contract::OutcomeStatus::FailedCritically => OutcomeStatus::FailedCritically,
            };
            Some((
                batch,
                News::PhaseOutcome { phase: known_phase(phase)?, correlation, word, processed, failed },
            ))
        }
        IncomingBody::ContentProvisioned { batch_id } => {
            Some((BatchId::from_uuid(batch_id).ok()?, News::Registered))
        }
    }
}

/// The batch that the essay's id names, if the message names another one.
fn contradicted_batch(body: &IncomingBody) -> Option<BatchId> {
    let (IncomingBody::EssaySpellchecked { essay_id, batch_id: Some(named), .. }
    | IncomingBody::EssayNlpDone { essay_id, batch_id: Some(named), .. }) = body
    else {
        return None;
    };
    let batch = EssayId::try_from(*essay_id).ok()?.batch();
    (batch.as_uuid() != *named).then_some(batch)
}

/// The phase, if BOS runs it; student matching belongs to another service.
fn known_phase(phase: PhaseName) -> Option<Phase> {
    match phase {
        PhaseName::Spellcheck => Some(Phase::Spellcheck),
        PhaseName::Nlp => Some(Phase::Nlp),
        PhaseName::AiFeedback => Some(Phase::AiFeedback),
        PhaseName::CjAssessment => Some(Phase::CjAssessment),
        PhaseName::StudentMatching => None,
    }
}

/// What the lifecycle service says about the essays of a batch, seen from a phase.
pub(crate) fn lifecycle_answer(statuses: &EssayStatuses, phase: Phase) -> LifecycleAnswer {
    let PhaseProgress { ready, unfinished, finished } = statuses.progress(super::to::phase_name(phase));
    LifecycleAnswer { ready, unfinished, finished }
}

/// How much the reason of a failure says.
fn precision(reason: Option<&contract::FailureReason>) -> Precision {
    match reason {
        None => Precision::Vague,
        Some(reason) if reason.is_stated => Precision::Stated,
        Some(_) => Precision::Read,
    }
}

fn spellcheck_figures(figures: SpellcheckFigures) -> String {
    let words = figures.metrics.map(|metrics| metrics.word_count);
    let corrections =
        figures.corrections_made.or_else(|| figures.metrics.map(|metrics| metrics.total_corrections));
    serde_json::json!({ "corrections": corrections, "words": words }).to_string()
}

fn nlp_figures(figures: NlpFigures) -> String {
    serde_json::json!({
        "words": figures.words,
        "sentences": figures.sentences,
        "mean_sentence_length": figures.mean_sentence_length,
        "lix": figures.lix,
        "type_token_ratio": figures.type_token_ratio,
        "flesch": figures.flesch,
    })
    .to_string()
}
