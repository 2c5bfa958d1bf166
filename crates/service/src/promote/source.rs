//! The embedded installation that is promoted. It is only read until the end, and then marked as promoted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use companions::{CompanionSettings, Companions};
use engine::ports::{Clock as _, SystemClock};
use store::promotion::Promoted;
use store::{Lane, Store};
use uuid::Uuid;

use super::checksum::Sum;
use super::error::{Error, Refusal};
use super::tables::sums;
use crate::config::Config;

pub(super) struct Source {
    folder: PathBuf,
    store: Store,
}

fn failed(error: store::Error) -> Error {
    Error::of("source")(error)
}

impl Source {
    /// Opens the source and takes the lock of a server on the data folder, until [`close`](Self::close).
    pub(super) fn open(config: &Config) -> Result<Self, Error> {
        let folder = config.data_dir.clone();
        let file = folder.join("bos.db");
        if !file.exists() {
            return Err(Refusal::NoSource { file }.into());
        }
        let opened = Store::inspect_sqlite(&file, Arc::new(|| SystemClock::default().now()));
        match opened {
            Ok(store) => Ok(Self { folder, store }),
            Err(store::Error::Unfit { problem }) => Err(Refusal::SourceInUse { problem }.into()),
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The mark of an earlier promotion, if there is one.
    pub(super) async fn promoted(&self) -> Result<Option<Promoted>, Error> {
        self.store.read(|tx| Box::pin(async move { tx.promoted().await })).await.map_err(failed)
    }

    pub(super) async fn refuse_where_promoted(&self) -> Result<(), Error> {
        match self.promoted().await? {
            Some(Promoted { to, at, .. }) => Err(Refusal::AlreadyPromoted { to, at }.into()),
            None => Ok(()),
        }
    }

    /// The checksums of the tables that move.
    ///
    /// # Errors
    /// [`Refusal::SourceOnKafka`], or the database failed.
    pub(super) async fn sums(&self) -> Result<Vec<Sum>, Error> {
        if self.store.read(|tx| Box::pin(tx.has_sent_to_broker())).await.map_err(failed)? {
            return Err(Refusal::SourceOnKafka.into());
        }
        sums(&self.store, "source", |_, _| Ok(())).await
    }

    pub(super) async fn dead_letters(&self) -> Result<i64, Error> {
        let depth = self.store.read(|tx| Box::pin(tx.dead_letter_depth())).await.map_err(failed)?;
        Ok(depth.rows)
    }

    /// The number of texts to which rows refer. Texts of unread news are not counted.
    pub(super) async fn count_texts(&self) -> Result<i64, Error> {
        self.store.read(|tx| Box::pin(tx.count_referenced_texts())).await.map_err(failed)
    }

    /// Copies the database into `file`, which then exists completely or not at all.
    pub(super) async fn copy_to(&self, file: &Path) -> Result<(), Error> {
        let part = file.with_extension("part");
        let cannot = |source| Error::File { file: file.to_owned(), source };
        match std::fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(cannot(error)),
            Ok(()) | Err(_) => {}
        }
        self.store.copy_to(&part).await.map_err(failed)?;
        std::fs::rename(&part, file).map_err(cannot)
    }

    /// Opens the companions whose Content Service has the texts; none if the folder has no `companions.db`.
    pub(super) fn companions(folder: &Path) -> Result<Option<Companions>, Error> {
        let file = folder.join("companions.db");
        if !file.exists() {
            return Ok(None);
        }
        Ok(Some(Companions::open(&file, CompanionSettings::default())?))
    }

    /// Marks the source as promoted to `to`. From then on `bos serve` refuses it.
    pub(super) async fn mark(&self, id: Uuid, to: &str) -> Result<(), Error> {
        let to = to.to_owned();
        let unit = self.store.unit(Lane::Caller, move |tx| {
            let promoted = Promoted { id, to: to.clone(), at: tx.now() };
            Box::pin(async move { tx.set_promoted(&promoted).await })
        });
        unit.await.map_err(failed)
    }

    pub(super) async fn close(&self) {
        self.store.close().await;
    }
}
