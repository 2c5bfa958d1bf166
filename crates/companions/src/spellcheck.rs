//! The spell checker: fetches a text, corrects it, stores the corrected text and publishes the result. It is
//! stateless.
//!
//! An essay gets two results, as on the platform: the rich one for consumers of figures, and the thin one for
//! the lifecycle service. Both require a batch: a text that was requested without one is corrected and stored,
//! and nothing is published.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::{
    Language, NeighbourBody, Source, SpellcheckPhaseCompleted, SpellcheckReport, SpellcheckResult, Topic,
    Verdict,
};
use engine::ports::{ContentError, ContentStore, Delivery, Record};
use uuid::Uuid;

use crate::language::{Corrected, Dictionaries};
use crate::misbehaviour::Misbehaviour;
use crate::texts::{FailureCode, INJECTED_FAILURE, engine_language, fetch, on_all_cores};
use crate::wire::{Address, Cause, log_skipped, record};
use crate::worker::{Bus, Reader, TurnError, Work};

pub(crate) const READER: Reader =
    Reader { consumer: "spell-checker-service", topics: &[Topic::EssaySpellcheckRequested], limit: 200 };

/// The name of the correcting program in results.
const PROCESSOR: &str = concat!("bos-companions-", env!("CARGO_PKG_VERSION"));

/// The worker.
#[derive(Debug)]
pub(crate) struct Spellcheck {
    pub(crate) bus: Bus,
    pub(crate) content: Arc<dyn ContentStore>,
    pub(crate) dictionaries: Arc<Dictionaries>,
    /// Answers at once, with the text unchanged.
    pub(crate) instant: bool,
    /// Injected failures.
    pub(crate) misbehaviour: Misbehaviour,
}

/// A request that was parsed.
#[derive(Debug)]
struct Request {
    cause: Cause,
    essay_id: Uuid,
    batch_id: Option<Uuid>,
    text_storage_id: String,
    language: Language,
}

/// The result of a checked text.
#[derive(Debug)]
struct Checked {
    corrected_text_storage_id: String,
    corrections: u32,
    words: u32,
    duration_ms: u64,
}

#[async_trait]
impl Work for Spellcheck {
    async fn turn(&mut self, deliveries: Vec<Delivery>) -> Result<(), TurnError> {
        let requests: Vec<Request> = deliveries.iter().filter_map(|delivery| self.read(delivery)).collect();
        let checked = if self.instant { unchanged(&requests) } else { self.check(&requests).await? };
        let now = self.bus.clock.now();
        let answers = requests.iter().zip(checked).flat_map(|(request, checked)| {
            let fails = self.misbehaviour.fails(request.cause.event_id, request.essay_id);
            answers(request, &if fails { Err(INJECTED_FAILURE) } else { checked }, now)
        });
        Ok(self.bus.publish(answers.collect()).await?)
    }
}

impl Spellcheck {
    fn read(&self, delivery: &Delivery) -> Option<Request> {
        let incoming = contract::read_neighbour(delivery.topic, &delivery.value)
            .inspect_err(|error| log_skipped(delivery, error))
            .ok()?;
        let cause = Cause::from_incoming(&incoming, delivery, self.bus.clock.now());
        let NeighbourBody::SpellcheckRequested { essay_id, batch_id, text_storage_id, language } =
            incoming.body
        else {
            return None;
        };
        Some(Request { cause, essay_id, batch_id, text_storage_id, language })
    }

    async fn check(&self, requests: &[Request]) -> Result<Vec<Result<Checked, FailureCode>>, ContentError> {
        let ids = requests.iter().map(|request| request.text_storage_id.clone()).collect();
        let texts = fetch(self.content.as_ref(), ids).await?;
        let languages = requests.iter().map(|request| request.language);
        let dictionaries = Arc::clone(&self.dictionaries);
        let corrected = on_all_cores(texts.into_iter().zip(languages).collect(), move |(text, language)| {
            correct(&dictionaries, text, language)
        })
        .await;
        self.store(corrected.into_iter().map(|done| done.unwrap_or(Err("spellcheck_failed"))).collect()).await
    }

    /// Stores all corrected texts in one call.
    async fn store(
        &self,
        corrected: Vec<Result<(Corrected, u64), FailureCode>>,
    ) -> Result<Vec<Result<Checked, FailureCode>>, ContentError> {
        let mut texts = Vec::with_capacity(corrected.len());
        let figures: Vec<_> = corrected
            .into_iter()
            .map(|corrected| {
                let (Corrected { text, corrections, word_count }, duration_ms) = corrected?;
                texts.push(Bytes::from(text));
                Ok((u32::try_from(corrections.len()).unwrap_or(u32::MAX), word_count, duration_ms))
            })
            .collect();
        let mut stored =
            if texts.is_empty() { Vec::new() } else { self.content.store(texts).await }.into_iter();
        figures
            .into_iter()
            .map(|figures| match figures {
                Err(code) => Ok(Err(code)),
                Ok((corrections, words, duration_ms)) => match stored.next() {
                    Some(Ok(corrected_text_storage_id)) => {
                        Ok(Ok(Checked { corrected_text_storage_id, corrections, words, duration_ms }))
                    }
                    Some(Err(ContentError::Refused { code })) => Ok(Err(code)),
                    Some(Err(away @ ContentError::Unavailable { .. })) => Err(away),
                    None => Err(ContentError::Unavailable { code: "content_nonsense", retry_after: None }),
                },
            })
            .collect()
    }
}

/// Corrects a text; the number is the duration in milliseconds.
fn correct(
    dictionaries: &Dictionaries,
    text: Result<String, FailureCode>,
    language: Language,
) -> Result<(Corrected, u64), FailureCode> {
    let started = Instant::now();
    let corrected = dictionaries.correct(&text?, engine_language(language)).map_err(|error| {
        // The log line names the package to install, which a code cannot.
        tracing::warn!(error = &error as &dyn std::error::Error, "cannot spellcheck a text");
        error.code()
    })?;
    Ok((corrected, u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)))
}

fn unchanged(requests: &[Request]) -> Vec<Result<Checked, FailureCode>> {
    let as_it_is = |request: &Request| {
        let corrected_text_storage_id = request.text_storage_id.clone();
        Ok(Checked { corrected_text_storage_id, corrections: 0, words: 0, duration_ms: 0 })
    };
    requests.iter().map(as_it_is).collect()
}

fn answers(request: &Request, checked: &Result<Checked, FailureCode>, now: DateTime<Utc>) -> Vec<Record> {
    let Some(batch_id) = request.batch_id else {
        tracing::warn!(essay.id = %request.essay_id, "a request names no batch; its result cannot be published");
        return Vec::new();
    };
    let done = checked.as_ref().ok();
    let report = SpellcheckReport {
        essay_id: request.essay_id,
        batch_id,
        correlation_id: request.cause.correlation_id,
        verdict: if done.is_some() { Verdict::Succeeded } else { Verdict::Failed },
        original_text_storage_id: &request.text_storage_id,
        corrected_text_storage_id: done.map(|done| done.corrected_text_storage_id.as_str()),
        corrections_made: done.map_or(0, |done| done.corrections),
        word_count: done.map_or(0, |done| done.words),
        processing_duration_ms: done.map_or(0, |done| done.duration_ms),
        error_code: checked.as_ref().err().copied(),
        processor_version: PROCESSOR,
    };
    let to = |topic| Address { topic, source: Source::SpellcheckerService, key: batch_id };
    let (rich, thin) = (to(Topic::EssaySpellcheckResults), to(Topic::SpellcheckPhaseCompleted));
    vec![
        record(rich, &request.cause, "", now, SpellcheckResult::new(&report, now)),
        record(thin, &request.cause, "", now, SpellcheckPhaseCompleted::new(&report, now)),
    ]
}

#[cfg(test)]
mod tests;
