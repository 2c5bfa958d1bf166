//! A simulated Content Service with injected faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use engine::ports::{ContentError, ContentStore};

use crate::Sabotage;
use crate::chance::{Chance, Fault};
use crate::clock::SimulatedClock;

/// Texts by the ids that it assigns.
#[derive(Debug, Clone)]
pub struct Content {
    chance: Chance,
    clock: SimulatedClock,
    sabotage: Option<Sabotage>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    texts: BTreeMap<String, Bytes>,
    refused: Vec<Bytes>,
    away_until: Duration,
}

impl Content {
    /// An empty service.
    pub fn new(chance: Chance, clock: SimulatedClock, sabotage: Option<Sabotage>) -> Self {
        Self { chance, clock, sabotage, inner: Arc::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends an outage.
    pub fn heal(&self) {
        self.inner().away_until = Duration::ZERO;
    }

    /// Whether it stores this text under this id.
    pub fn has(&self, id: &str, text: &[u8]) -> bool {
        self.inner().texts.get(id).is_some_and(|stored| stored == text)
    }

    /// Whether it has refused this text.
    pub fn refused(&self, text: &[u8]) -> bool {
        self.inner().refused.iter().any(|refused| refused == text)
    }

    fn unavailable(code: &'static str, retry_after: Option<Duration>) -> ContentError {
        ContentError::Unavailable { code, retry_after }
    }

    fn is_away(&self) -> Option<ContentError> {
        let now = self.clock.elapsed();
        if self.chance.injects(Fault::ContentAway) {
            let wait = Duration::from_millis(self.chance.between(100, 20_000));
            self.inner().away_until = now + wait;
        }
        let away = self.inner().away_until > now;
        let asks = (away && self.chance.percent(30)).then_some(Duration::from_secs(2));
        away.then(|| Self::unavailable("content_unreachable", asks))
    }

    fn keep(&self, text: Bytes) -> String {
        let mut inner = self.inner();
        let id = format!("{:032x}", inner.texts.len() + 1);
        inner.texts.insert(id.clone(), text);
        id
    }

    fn store_one(&self, text: Bytes) -> Result<String, ContentError> {
        let chance = &self.chance;
        // A refusal is permanent.
        if self.refused(&text) || chance.injects(Fault::ContentRefused) {
            self.inner().refused.push(text);
            return Err(ContentError::Refused { code: "content_refused" });
        }
        if chance.injects(Fault::ContentBusy) {
            return Err(Self::unavailable("content_busy", None));
        }
        if chance.injects(Fault::ContentTimeout) {
            return Err(Self::unavailable("content_timeout", None));
        }
        let id = self.keep(text);
        if chance.injects(Fault::ContentExecuted) {
            return Err(Self::unavailable("content_timeout", None));
        }
        Ok(if chance.injects(Fault::ContentNonsense) { "no id / at all".to_owned() } else { id })
    }
}

#[async_trait]
impl ContentStore for Content {
    async fn store(&self, texts: Vec<Bytes>) -> Vec<Result<String, ContentError>> {
        while self.sabotage == Some(Sabotage::NeverAnswers) {
            let _ = self.is_away();
            tokio::task::yield_now().await;
        }
        if let Some(away) = self.is_away() {
            return texts.iter().map(|_| Err(away.clone())).collect();
        }
        texts.into_iter().map(|text| self.store_one(text)).collect()
    }

    async fn fetch(&self, id: &str) -> Result<Bytes, ContentError> {
        let found = self.inner().texts.get(id).cloned();
        found.ok_or(ContentError::Refused { code: "text_not_found" })
    }

    async fn look_up(&self, id: &str) -> Result<u64, ContentError> {
        Ok(self.fetch(id).await?.len() as u64)
    }
}
