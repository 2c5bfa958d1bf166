//! The peer services of BOS for the embedded mode: small implementations of what other teams run in
//! production.
//!
//! A companion knows what a peer service would know: the contracts and the ports, never the rules or the
//! tables of BOS. The companions share one database file of their own, and communicate only over the bus and
//! through the Content Service's contract:
//!
//! - [`ContentService`] stores the texts;
//! - `lifecycle` knows the status of every essay, and moves essays from phase to phase on command;
//! - `spellcheck` corrects texts and `nlp` measures them; see [`language`] for the computations.
//!
//! Phases that need a language model (`ai_feedback`, `cj_assessment`) have no companion: a command for them
//! is not answered, as on a platform that does not run these services.

mod content_service;
mod database;
mod error;
pub mod language;
mod lifecycle;
mod misbehaviour;
mod nlp;
mod spellcheck;
mod texts;
mod wire;
mod worker;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::ports::{Broker, Clock, ContentStore};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

pub use content_service::ContentService;
pub use error::Error;
pub use lifecycle::LifecycleService;
pub use misbehaviour::Misbehaviour;

use database::Database;
use language::Dictionaries;
use lifecycle::Lifecycle;
use misbehaviour::FaultyBroker;
use nlp::Nlp;
use spellcheck::Spellcheck;
use worker::{Bus, run};

/// Settings of the companions.
#[derive(Debug, Clone, Default)]
pub struct CompanionSettings {
    /// The workers answer at once and do no language work: the spell checker returns the text unchanged, and
    /// nlp figures of zero. For benchmarks of everything else. Default: off.
    pub instant: bool,
    /// The folder of the Hunspell dictionaries. Default: the folders of the system.
    pub hunspell_dir: Option<PathBuf>,
    /// Injected faults. Default: none.
    pub misbehaviour: Misbehaviour,
    /// Whether the lifecycle service lets an essay be commanded again into a phase that it has been through.
    /// The platform's does not. Default: off.
    pub retries: bool,
}

/// The companions and their database.
#[derive(Debug)]
pub struct Companions {
    database: Arc<Database>,
    content: Arc<ContentService>,
    settings: CompanionSettings,
}

impl Companions {
    /// Opens the companions' database, or creates it.
    ///
    /// # Errors
    /// When the file cannot be opened or written.
    pub fn open(path: &Path, settings: CompanionSettings) -> Result<Self, Error> {
        let database = Arc::new(Database::open(path)?);
        let content = Arc::new(ContentService::new(Arc::clone(&database)));
        Ok(Self { database, content, settings })
    }

    /// The Content Service of this process.
    pub fn content(&self) -> Arc<ContentService> {
        Arc::clone(&self.content)
    }

    /// What the lifecycle service of this process says about the essays of a batch.
    pub fn lifecycle(&self) -> LifecycleService {
        LifecycleService::new(Arc::clone(&self.database))
    }

    /// The tasks of the companions that read the bus, by name: `lifecycle`, `spellcheck`, `nlp`. The caller
    /// spawns them; each runs until `stop`. The workers fetch texts from `content` and store texts there; it
    /// may be [`Companions::content`] or another Content Service.
    pub fn tasks(
        &self,
        broker: Arc<dyn Broker>,
        content: Arc<dyn ContentStore>,
        clock: Arc<dyn Clock>,
        stop: &CancellationToken,
    ) -> Vec<(&'static str, BoxFuture<'static, ()>)> {
        let misbehaviour = self.settings.misbehaviour;
        let bus = Bus { broker: FaultyBroker::wrap(broker, misbehaviour), clock };
        let instant = self.settings.instant;
        let dictionaries =
            self.settings.hunspell_dir.as_ref().map_or_else(Dictionaries::system, Dictionaries::with_dir);
        let lifecycle =
            Lifecycle::new(Arc::clone(&self.database), bus.clone(), self.settings.retries, misbehaviour);
        let spellcheck = Spellcheck {
            bus: bus.clone(),
            content: Arc::clone(&content),
            dictionaries: Arc::new(dictionaries),
            instant,
            misbehaviour,
        };
        let nlp = Nlp { bus: bus.clone(), content, instant, misbehaviour };
        vec![
            ("lifecycle", Box::pin(run(lifecycle::READER, lifecycle, bus.clone(), stop.clone()))),
            ("spellcheck", Box::pin(run(spellcheck::READER, spellcheck, bus.clone(), stop.clone()))),
            ("nlp", Box::pin(run(nlp::READER, nlp, bus, stop.clone()))),
        ]
    }
}
