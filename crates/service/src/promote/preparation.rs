//! The copy of the source, which is prepared for the target in steps.
//!
//! Every step may be repeated after a kill. The copy itself stores which step is next.

use std::path::Path;
use std::sync::Arc;

use engine::ports::{Clock, SystemClock};
use engine::{Crash, Engine, promotion};
use sha2::{Digest as _, Sha256};
use store::promotion::MovedTexts;
use store::{Lane, Store};
use uuid::Uuid;

use super::checksum::Sum;
use super::error::{Error, Refusal};
use super::source::Source;
use super::tables::{SHARDS, sums};
use super::{Progress, StepLimit, texts};
use crate::config::Config;
use crate::settings::engine_settings;

/// Batches per turn of [`Step::ReplaceServices`]; chosen.
const BATCHES: u32 = 50;

/// Keys in the copy's table `meta`: the id of the promotion, the fingerprint of its source, and the next step.
const ID: &str = "promotion_id";
const OF: &str = "promotion_of";
const STEP: &str = "promotion_step";

/// The steps, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    CatchUp,
    MoveTexts,
    RenameTexts,
    ForgetCommands,
    ReplaceServices,
    Reshard,
    Ready,
}

impl Step {
    const ALL: [Self; 7] = [
        Self::CatchUp,
        Self::MoveTexts,
        Self::RenameTexts,
        Self::ForgetCommands,
        Self::ReplaceServices,
        Self::Reshard,
        Self::Ready,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::CatchUp => "catch_up",
            Self::MoveTexts => "move_texts",
            Self::RenameTexts => "rename_texts",
            Self::ForgetCommands => "forget_commands",
            Self::ReplaceServices => "replace_neighbours",
            Self::Reshard => "reshard",
            Self::Ready => "ready",
        }
    }

    fn next(self) -> Self {
        Self::ALL.into_iter().find(|step| *step > self).unwrap_or(Self::Ready)
    }
}

pub(super) struct Preparation {
    pub(super) id: Uuid,
    pub(super) store: Store,
    /// The data folder with the texts of the source.
    texts_of: std::path::PathBuf,
}

fn failed(error: store::Error) -> Error {
    Error::of("copy")(error)
}

impl Preparation {
    /// Opens the copy in `folder`, or creates it.
    ///
    /// # Errors
    /// [`Refusal::SourceChanged`] if the source has changed after it was copied, because the changes would be lost.
    pub(super) async fn open(
        source: &Source,
        sums_of_source: &[Sum],
        folder: &Path,
        limit: &StepLimit,
    ) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|source| Error::File { file: folder.to_owned(), source })?;
        let file = folder.join("bos.db");
        if !file.exists() {
            source.copy_to(&file).await?;
            limit.step()?;
        }
        let store = Store::open_sqlite(&file, Arc::new(|| SystemClock::default().now())).map_err(failed)?;
        let of = fingerprint(sums_of_source);
        let id = match facts(&store).await? {
            Some((id, known)) if known == of => id,
            Some(_) => {
                store.close().await;
                return Err(Refusal::SourceChanged { folder: folder.to_owned() }.into());
            }
            None => {
                // Of the copy and not of the source, which may have changed while it was copied.
                let known = fingerprint(&sums(&store, "copy", |_, _| Ok(())).await?);
                if known != of {
                    store.close().await;
                    return Err(Refusal::SourceChanged { folder: folder.to_owned() }.into());
                }
                begin(&store, of).await?
            }
        };
        Ok(Self { id, store, texts_of: source.folder().to_owned() })
    }

    /// Performs the steps that remain.
    pub(super) async fn run(
        &self,
        config: &Config,
        limit: &StepLimit,
        tell: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), Error> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let engine =
            Engine::open(self.store.clone(), engine_settings(config), clock, None, Crash::default()).await?;
        loop {
            let step = self.step().await?;
            match step {
                Step::CatchUp => {
                    tell(Progress::CatchingUp);
                    while promotion::catch_up(&engine).await? {
                        limit.step()?;
                    }
                }
                Step::MoveTexts => {
                    tell(Progress::MovingTexts);
                    texts::move_all(&self.store, &self.texts_of, config, limit).await?;
                }
                Step::RenameTexts => self.change(step, |tx| Box::pin(tx.replace_text_ids())).await?,
                Step::ForgetCommands => promotion::drop_commands(&engine).await.map(drop)?,
                Step::ReplaceServices => {
                    tell(Progress::ReplacingServices);
                    let mut after = Uuid::nil();
                    while let Some(last) =
                        promotion::replace_services(&engine, self.id, after, BATCHES).await?
                    {
                        after = last;
                        limit.step()?;
                    }
                }
                Step::Reshard => self.change(step, |tx| Box::pin(tx.reshard(SHARDS))).await?,
                Step::Ready => return Ok(()),
            }
            if !matches!(step, Step::RenameTexts | Step::Reshard) {
                self.change(step, |_| Box::pin(async { Ok(()) })).await?;
            }
            limit.step()?;
        }
    }

    /// The numbers of moved and kept texts.
    pub(super) async fn texts(&self) -> Result<MovedTexts, Error> {
        self.store.read(|tx| Box::pin(tx.count_texts())).await.map_err(failed)
    }

    pub(super) async fn close(&self) {
        self.store.close().await;
    }

    async fn step(&self) -> Result<Step, Error> {
        let word = self.store.read(|tx| Box::pin(tx.meta(STEP))).await.map_err(failed)?;
        let word = word.unwrap_or_default();
        Ok(Step::ALL.into_iter().find(|step| step.word() == word).unwrap_or(Step::CatchUp))
    }

    /// Changes the copy and advances to the step after `step`, in one transaction.
    async fn change(
        &self,
        step: Step,
        change: impl for<'t> Fn(&'t mut store::Tx) -> futures::future::BoxFuture<'t, Result<(), store::Error>>
        + Send
        + Sync
        + 'static,
    ) -> Result<(), Error> {
        let change = Arc::new(change);
        let unit = self.store.unit(Lane::Task, move |tx| {
            let change = Arc::clone(&change);
            Box::pin(async move {
                change(tx).await?;
                tx.set_meta(STEP, step.next().word()).await
            })
        });
        unit.await.map_err(failed)
    }
}

/// One hash over the checksums of all tables.
fn fingerprint(sums: &[Sum]) -> String {
    let all: Vec<String> = sums.iter().map(Sum::whole).collect();
    let hash = Sha256::digest(all.join("\n"));
    hash.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

async fn facts(store: &Store) -> Result<Option<(Uuid, String)>, Error> {
    let facts = store
        .read(|tx| Box::pin(async move { Ok::<_, store::Error>((tx.meta(ID).await?, tx.meta(OF).await?)) }));
    let (id, of) = facts.await.map_err(failed)?;
    Ok(id.and_then(|id| Uuid::try_parse(&id).ok()).zip(of))
}

/// Gives the copy a random promotion id, and stores it with the fingerprint of the source.
async fn begin(store: &Store, of: String) -> Result<Uuid, Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|_| failed(store::Error::Unavailable { doing: "draw a random number", cause: None }))?;
    let id = uuid::Builder::from_random_bytes(random).into_uuid();
    let unit = store.unit(Lane::Task, move |tx| {
        let (id, of) = (id.to_string(), of.clone());
        Box::pin(async move {
            tx.set_meta(ID, &id).await?;
            tx.set_meta(OF, &of).await
        })
    });
    unit.await.map_err(failed)?;
    Ok(id)
}
