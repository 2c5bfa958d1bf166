//! The neighbours of the service, for the embedded mode: small and honest versions of what other teams run in production.
//!
//! A companion knows what a neighbour would know: the contracts and the ports, never the rules or the tables of the
//! service. They share one database file of their own and speak only over the bus and through the Content Service's
//! contract:
//!
//! - [`ContentService`] keeps the texts;
//! - `lifecycle` knows every essay's status and moves essays from phase to phase as it is commanded;
//! - `spellcheck` corrects texts, `nlp` measures them; see [`language`] for what they compute.
//!
//! Phases that need a language model (`ai_feedback`, `cj_assessment`) have no companion: a command for them is met with
//! silence, as on a platform where nobody serves them.

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
pub use misbehaviour::Misbehaviour;

use database::Database;
use language::Dictionaries;
use lifecycle::Lifecycle;
use misbehaviour::Unruly;
use nlp::Nlp;
use spellcheck::Spellcheck;
use worker::{Bus, run};

/// How the companions work.
#[derive(Debug, Clone, Default)]
pub struct CompanionSettings {
    /// The workers answer at once without doing language work: the spell checker with the text as it is, nlp with figures of
    /// zero. For measuring everything else.
    pub instant: bool,
    /// Where the Hunspell dictionaries are, if not where the system keeps them.
    pub hunspell_dir: Option<PathBuf>,
    /// What goes wrong on purpose.
    pub misbehaviour: Misbehaviour,
}

/// The companions and their database.
#[derive(Debug)]
pub struct Companions {
    database: Arc<Database>,
    content: Arc<ContentService>,
    settings: CompanionSettings,
}

impl Companions {
    /// Opens the companions' database, or makes it.
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

    /// The companions that read the bus, by name: `lifecycle`, `spellcheck`, `nlp`. Each works until `stop`; the caller spawns
    /// them. `content` is the Content Service that the workers take texts from and bring them to, ours or another.
    pub fn tasks(
        &self,
        broker: Arc<dyn Broker>,
        content: Arc<dyn ContentStore>,
        clock: Arc<dyn Clock>,
        stop: &CancellationToken,
    ) -> Vec<(&'static str, BoxFuture<'static, ()>)> {
        let misbehaviour = self.settings.misbehaviour;
        let bus = Bus { broker: Unruly::around(broker, misbehaviour), clock };
        let instant = self.settings.instant;
        let dictionaries =
            self.settings.hunspell_dir.as_ref().map_or_else(Dictionaries::system, Dictionaries::with_dir);
        let lifecycle = Lifecycle::new(Arc::clone(&self.database), bus.clone());
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
