//! What both workers do with texts: fetch them, and process them on all cores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use engine::ports::{ContentError, ContentStore};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::language::Language;

/// Concurrent fetches from the Content Service (chosen).
const FETCHES: usize = 16;

/// The stable code of an essay's failure. It never contains text.
pub(crate) type FailureCode = &'static str;

/// The code of an injected failure.
pub(crate) const INJECTED_FAILURE: FailureCode = "failed_on_purpose";

/// Fetches texts, in order. A text that is missing, blank or not UTF-8 is a failure of its essay.
///
/// # Errors
/// When the Content Service is unavailable.
pub(crate) async fn fetch(
    content: &dyn ContentStore,
    ids: Vec<String>,
) -> Result<Vec<Result<String, FailureCode>>, ContentError> {
    stream::iter(ids)
        .map(|id| async move { readable(content.fetch(&id).await) })
        .buffered(FETCHES)
        .try_collect()
        .await
}

fn readable(fetched: Result<Bytes, ContentError>) -> Result<Result<String, FailureCode>, ContentError> {
    let bytes = match fetched {
        Ok(bytes) => bytes,
        Err(ContentError::Refused { code }) => return Ok(Err(code)),
        Err(away @ ContentError::Unavailable { .. }) => return Err(away),
    };
    Ok(match String::from_utf8(bytes.into()) {
        Ok(text) if text.trim().is_empty() => Err("blank_text"),
        Ok(text) => Ok(text),
        Err(_) => Err("text_not_utf8"),
    })
}

/// Runs CPU-bound work on blocking threads, one per core, and returns the results in order; `None` where the
/// work panicked.
pub(crate) async fn on_all_cores<T, R>(
    items: Vec<T>,
    work: impl Fn(T) -> R + Send + Sync + 'static,
) -> Vec<Option<R>>
where
    T: Send + 'static,
    R: Send + 'static,
{
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(cores).max(1);
    let work = Arc::new(work);
    let mut items = items.into_iter();
    let mut shares = Vec::with_capacity(cores);
    loop {
        let share: Vec<T> = items.by_ref().take(share).collect();
        if share.is_empty() {
            break;
        }
        let (work, size) = (Arc::clone(&work), share.len());
        let each = move |item| catch_unwind(AssertUnwindSafe(|| work(item))).ok();
        shares.push((
            size,
            tokio::task::spawn_blocking(move || share.into_iter().map(each).collect::<Vec<_>>()),
        ));
    }
    let mut done = Vec::new();
    for (size, share) in shares {
        let results = share.await.unwrap_or_else(|_| std::iter::repeat_with(|| None).take(size).collect());
        done.extend(results);
    }
    done
}

/// The language engine's value for a language of the contract.
pub(crate) const fn engine_language(language: contract::Language) -> Language {
    match language {
        contract::Language::English => Language::English,
        contract::Language::Swedish => Language::Swedish,
    }
}
