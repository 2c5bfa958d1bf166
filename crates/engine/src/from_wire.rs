//! The platform's words → ours. The only place, with [`crate::to_wire`], that knows both vocabularies.

use contract::{CourseCode, Incoming, IncomingBody, NlpFigures, PhaseName, SpellcheckFigures, Verdict};
use domain::{BatchId, CorrelationId, EssayId, Language, OutcomeStatus, Phase, StorageId};
use store::EssayReport;
use uuid::Uuid;

use crate::ports::Delivery;
use crate::{Cause, Message, News, Origin};

/// The platform's course codes, each with its language: an exact table, for whoever checks what a caller states.
pub fn courses() -> impl Iterator<Item = (&'static str, Language)> {
    CourseCode::ALL.iter().map(|course| {
        let language = match course.language() {
            contract::Language::English => Language::En,
            contract::Language::Swedish => Language::Sv,
        };
        (course.as_str(), language)
    })
}

/// What a message turns out to be.
pub(crate) enum Read {
    /// News about a batch whose id has our form; whether it is ours the database knows.
    News(Box<(BatchId, News, Cause)>),
    /// About something that is not ours: its id has not our form, or nobody here tells such news.
    Foreign,
    /// It names an essay by an id that has our form, and another batch than the essay's: a contradiction if the essay's batch
    /// is ours, which the database knows.
    Contradiction {
        /// The batch that the essay's id names.
        batch: BatchId,
    },
    /// Not to be understood.
    Undecodable {
        /// Why, as a stable code.
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
    if let Some(batch) = contradicted(&body) {
        return Read::Contradiction { batch };
    }
    let Some((batch, news)) = news(body, correlation_id.map(CorrelationId)) else { return Read::Foreign };
    let message = Message {
        event_id,
        topic: delivery.topic.as_str(),
        partition: delivery.partition,
        offset: delivery.offset,
    };
    let cause = Cause { origin: Origin::Bus(message), correlation: correlation_id, trace: delivery.trace };
    Read::News(Box::new((batch, news, cause)))
}

/// What a message must have left once the position is past it, if the batch that it is about is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// Nothing: it is somebody else's.
    None,
    /// It was applied, or set aside.
    Row {
        /// Its event id.
        event: Uuid,
        /// The batch.
        batch: Uuid,
    },
    /// It was set aside, if there is a batch that it must be about.
    Aside {
        /// Whose news it contradicts; none: nobody can read it, whoever it is about.
        batch: Option<Uuid>,
    },
}

/// What a message must have left, for whoever looks afterwards: by the same reading as the consumer's.
pub fn trace(delivery: &Delivery) -> Trace {
    match read(delivery) {
        Read::News(news) => {
            let (batch, _, cause) = *news;
            match cause.origin {
                Origin::Bus(message) => Trace::Row { event: message.event_id, batch: batch.as_uuid() },
                Origin::Caller(_) | Origin::Task(_) => Trace::None,
            }
        }
        Read::Foreign => Trace::None,
        Read::Contradiction { batch } => Trace::Aside { batch: Some(batch.as_uuid()) },
        Read::Undecodable { .. } => Trace::Aside { batch: None },
    }
}

fn news(body: IncomingBody, correlation: Option<CorrelationId>) -> Option<(BatchId, News)> {
    match body {
        IncomingBody::EssaySpellchecked {
            essay_id,
            verdict,
            corrected_text_storage_id,
            error_code,
            figures,
            batch_id: _,
        } => {
            let essay = EssayId::try_from(essay_id).ok()?;
            let report = EssayReport {
                essay_id: essay,
                succeeded: verdict == Verdict::Succeeded,
                text_storage_id: corrected_text_storage_id.and_then(|id| StorageId::try_from(id).ok()),
                error_code: (verdict == Verdict::Failed)
                    .then(|| error_code.unwrap_or_else(|| "spellcheck_failed".to_owned())),
                figures: figures.map(spelling),
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
                figures: Some(measures(figures)),
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
            Some((batch, News::PhaseOutcome { phase: known(phase)?, correlation, word, processed, failed }))
        }
        IncomingBody::ContentProvisioned { batch_id } => {
            Some((BatchId::from_uuid(batch_id).ok()?, News::Registered))
        }
    }
}

/// The batch that an essay's id names, where the message says another one.
fn contradicted(body: &IncomingBody) -> Option<BatchId> {
    let (IncomingBody::EssaySpellchecked { essay_id, batch_id: Some(said), .. }
    | IncomingBody::EssayNlpDone { essay_id, batch_id: Some(said), .. }) = body
    else {
        return None;
    };
    let batch = EssayId::try_from(*essay_id).ok()?.batch();
    (batch.as_uuid() != *said).then_some(batch)
}

/// A phase that BOS runs; others are other services' business.
fn known(phase: PhaseName) -> Option<Phase> {
    match phase {
        PhaseName::Spellcheck => Some(Phase::Spellcheck),
        PhaseName::Nlp => Some(Phase::Nlp),
        PhaseName::AiFeedback => Some(Phase::AiFeedback),
        PhaseName::CjAssessment => Some(Phase::CjAssessment),
        PhaseName::StudentMatching => None,
    }
}

fn spelling(figures: SpellcheckFigures) -> String {
    let words = figures.metrics.map(|metrics| metrics.word_count);
    let corrections =
        figures.corrections_made.or_else(|| figures.metrics.map(|metrics| metrics.total_corrections));
    serde_json::json!({ "corrections": corrections, "words": words }).to_string()
}

fn measures(figures: NlpFigures) -> String {
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
