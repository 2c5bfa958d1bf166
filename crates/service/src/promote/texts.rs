//! Moves the texts from the embedded Content Service to the new one, which assigns new ids.

use std::path::Path;

use bytes::Bytes;
use engine::ports::{ContentError, ContentStore};
use store::{Lane, Store};

use super::error::Error;
use super::source::Source;
use super::{StepLimit, checks};
use crate::config::Config;

/// Texts per turn; chosen. A kill before the COMMIT of a turn leaves at most this number of orphans at the new service.
const TURN: u32 = 32;

type Moved = (String, Option<String>);

fn failed(error: store::Error) -> Error {
    Error::of("copy")(error)
}

/// Uploads every text to which a row of the copy refers and which has no new id, reads it back, and records its new id.
pub(super) async fn move_all(
    copy: &Store,
    source: &Path,
    config: &Config,
    limit: &StepLimit,
) -> Result<(), Error> {
    copy.unit(Lane::Task, |tx| Box::pin(tx.collect_texts())).await.map_err(failed)?;
    let companions = Source::companions(source)?;
    let from = companions.as_ref().map(companions::Companions::content);
    let to = checks::content(config)?;
    loop {
        let ids = copy.read(|tx| Box::pin(tx.pending_texts(TURN))).await.map_err(failed)?;
        if ids.is_empty() {
            return Ok(());
        }
        let mut texts = Vec::new();
        for id in &ids {
            texts.push(match &from {
                Some(content) => content.get(id).await?,
                None => None,
            });
        }
        let moved = move_some(&to, ids, texts).await?;
        let unit = copy.unit(Lane::Task, move |tx| {
            let moved = moved.clone();
            Box::pin(async move { tx.record_text_ids(&moved).await })
        });
        unit.await.map_err(failed)?;
        limit.step()?;
    }
}

/// Uploads these texts. A text that the source does not have keeps its id, because it was never in the embedded service.
async fn move_some(
    to: &dyn ContentStore,
    ids: Vec<String>,
    texts: Vec<Option<Bytes>>,
) -> Result<Vec<Moved>, Error> {
    let ours: Vec<Bytes> = texts.iter().flatten().cloned().collect();
    let mut answers = to.store(ours).await.into_iter();
    let mut moved = Vec::with_capacity(ids.len());
    for (id, text) in ids.into_iter().zip(texts) {
        let Some(text) = text else {
            moved.push((id, None));
            continue;
        };
        let nonsense = || Err(ContentError::Unavailable { code: "content_nonsense", retry_after: None });
        let new = answers.next().unwrap_or_else(nonsense).map_err(|error| away(&error))?;
        // The text is moved only if the new service returns the same bytes.
        if to.fetch(&new).await.map_err(|error| away(&error))? != text {
            return Err(Error::Content { code: "content_differs" });
        }
        moved.push((id, Some(new)));
    }
    Ok(moved)
}

fn away(error: &ContentError) -> Error {
    match *error {
        ContentError::Unavailable { code, .. } | ContentError::Refused { code } => Error::Content { code },
    }
}
