//! The nlp worker: measures the texts of a batch, and publishes the figures of each essay and then a summary
//! of the batch. It is stateless.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use contract::{
    BatchNlpAnalysisCompleted, EssayNlpCompleted, EssayRef, Language, NeighbourBody, NlpFigures, NlpReport,
    Source, Topic,
};
use engine::ports::{ContentError, ContentStore, Delivery, Record};
use uuid::Uuid;

use crate::language::{Measures, measure};
use crate::misbehaviour::Misbehaviour;
use crate::texts::{FailureCode, INJECTED_FAILURE, engine_language, fetch, on_all_cores};
use crate::wire::{Address, Cause, log_skipped, record};
use crate::worker::{Bus, Reader, TurnError, Work};

pub(crate) const READER: Reader =
    Reader { consumer: "nlp-service", topics: &[Topic::BatchNlpProcessingRequestedV2], limit: 200 };

/// Texts in memory at a time, at most (chosen).
const TEXTS: usize = 200;
/// The number of events from which on a turn publishes (chosen). The events of one batch are never split.
const PUBLISH_RECORDS: usize = 2_000;

/// The worker.
#[derive(Debug)]
pub(crate) struct Nlp {
    pub(crate) bus: Bus,
    pub(crate) content: Arc<dyn ContentStore>,
    /// Answers at once, with figures of zero.
    pub(crate) instant: bool,
    /// Injected failures.
    pub(crate) misbehaviour: Misbehaviour,
}

/// A request that was parsed.
#[derive(Debug)]
struct Request {
    cause: Cause,
    batch_id: Uuid,
    essays: Vec<EssayRef>,
    language: Language,
}

/// The figures of a text, and the duration in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    figures: NlpFigures,
    duration_ms: u64,
}

#[async_trait]
impl Work for Nlp {
    async fn turn(&mut self, deliveries: Vec<Delivery>) -> Result<(), TurnError> {
        let mut outgoing = Vec::new();
        for request in deliveries.iter().filter_map(|delivery| self.read(delivery)) {
            let started = Instant::now();
            let measured = self.analyse(&request).await?;
            outgoing.extend(self.answers(&request, &measured, started.elapsed().as_secs_f64()));
            if outgoing.len() >= PUBLISH_RECORDS {
                self.bus.publish(std::mem::take(&mut outgoing)).await?;
            }
        }
        Ok(self.bus.publish(outgoing).await?)
    }
}

impl Nlp {
    fn read(&self, delivery: &Delivery) -> Option<Request> {
        let incoming = contract::read_neighbour(delivery.topic, &delivery.value)
            .inspect_err(|error| log_skipped(delivery, error))
            .ok()?;
        let cause = Cause::from_incoming(&incoming, delivery, self.bus.clock.now());
        let NeighbourBody::NlpRequested { batch_id, essays, language } = incoming.body else { return None };
        Some(Request { cause, batch_id, essays, language })
    }

    async fn analyse(&self, request: &Request) -> Result<Vec<Result<Measured, FailureCode>>, ContentError> {
        if self.instant {
            return Ok(vec![Ok(Measured::default()); request.essays.len()]);
        }
        let mut measured = Vec::with_capacity(request.essays.len());
        for essays in request.essays.chunks(TEXTS) {
            let ids = essays.iter().map(|essay| essay.text_storage_id.clone()).collect();
            let texts = fetch(self.content.as_ref(), ids).await?;
            let language = request.language;
            let done = on_all_cores(texts, move |text| text.map(|text| measure_text(&text, language))).await;
            measured.extend(done.into_iter().map(|done| done.unwrap_or(Err("nlp_failed"))));
        }
        Ok(measured)
    }

    fn answers(
        &self,
        request: &Request,
        measured: &[Result<Measured, FailureCode>],
        seconds: f64,
    ) -> Vec<Record> {
        let now = self.bus.clock.now();
        let to = |topic| Address { topic, source: Source::NlpService, key: request.batch_id };
        let mut outgoing = Vec::with_capacity(measured.len() + 1);
        let (mut succeeded, mut failed) = (Vec::new(), Vec::new());
        for (essay, measured) in request.essays.iter().zip(measured) {
            let fails = self.misbehaviour.fails(request.cause.event_id, essay.essay_id);
            let measured = if fails { Err(INJECTED_FAILURE) } else { *measured };
            let Ok(Measured { figures, duration_ms }) = measured else {
                failed.push(essay.essay_id);
                continue;
            };
            succeeded.push(essay.essay_id);
            let report = NlpReport {
                essay_id: essay.essay_id,
                batch_id: request.batch_id,
                text_storage_id: &essay.text_storage_id,
                language: request.language,
                figures,
                processing_time_ms: duration_ms,
            };
            let (to, part) = (to(Topic::EssayNlpCompleted), essay.essay_id.to_string());
            outgoing.push(record(to, &request.cause, &part, now, EssayNlpCompleted::new(&report, now)));
        }
        let seconds = if self.instant { 0.0 } else { seconds };
        let done = BatchNlpAnalysisCompleted::new(request.batch_id, &succeeded, &failed, seconds, now);
        outgoing.push(record(to(Topic::BatchNlpAnalysisCompleted), &request.cause, "", now, done));
        outgoing
    }
}

fn measure_text(text: &str, language: Language) -> Measured {
    let started = Instant::now();
    let Measures { words, sentences, mean_sentence_length, type_token_ratio, lix, flesch } =
        measure(text, engine_language(language));
    let figures = NlpFigures {
        words,
        sentences: Some(sentences),
        mean_sentence_length: Some(mean_sentence_length),
        lix: Some(lix),
        type_token_ratio: Some(type_token_ratio),
        flesch,
    };
    Measured { figures, duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX) }
}

#[cfg(test)]
mod tests;
