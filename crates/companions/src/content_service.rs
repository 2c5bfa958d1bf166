//! The embedded Content Service: immutable texts under ids that it assigns.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use engine::ports::{ContentError, ContentStore};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::Error;
use crate::database::Database;

/// A storage id: 16 random bytes, 32 hexadecimal digits on the wire.
type Id = [u8; 16];

/// The Content Service of this process. It is called over HTTP or through [`ContentStore`]; both make the
/// same three calls.
#[derive(Debug)]
pub struct ContentService {
    database: Arc<Database>,
}

impl ContentService {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    /// Stores a text and returns its id. Not idempotent: each call assigns a new id. The caller must refuse
    /// an empty text, which the contract does not allow.
    ///
    /// # Errors
    /// When the database cannot write; nothing is stored then.
    pub async fn put(&self, text: Bytes) -> Result<String, Error> {
        let ids = self.put_all(vec![text]).await?;
        ids.into_iter().next().ok_or(Error::Closed)
    }

    /// Stores texts in one commit and returns their ids, in order.
    async fn put_all(&self, texts: Vec<Bytes>) -> Result<Vec<String>, Error> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let ids = texts.iter().map(|_| random_id()).collect::<Result<Vec<Id>, Error>>()?;
        let written = ids.iter().map(|id| format_id(*id)).collect();
        let insert = move |conn: &Connection| {
            let mut insert =
                conn.prepare_cached("INSERT INTO contents (storage_id, body) VALUES (?1, ?2)")?;
            for (id, text) in ids.iter().zip(&texts) {
                insert.execute(params![id, text.as_ref()])?;
            }
            Ok(())
        };
        self.database.write("store a text", insert).await?;
        Ok(written)
    }

    /// The bytes of a text; `None` for an unknown id.
    ///
    /// # Errors
    /// When the database cannot read.
    pub async fn get(&self, storage_id: &str) -> Result<Option<Bytes>, Error> {
        let Some(id) = parse_id(storage_id) else { return Ok(None) };
        self.database
            .read("read a text", move |conn| {
                conn.prepare_cached("SELECT body FROM contents WHERE storage_id = ?1")?
                    .query_row([id], |row| row.get::<_, Vec<u8>>(0))
                    .optional()
            })
            .await
            .map(|body| body.map(Bytes::from))
    }

    /// Erases a text; false for an unknown id.
    ///
    /// # Errors
    /// When the database cannot write; the text stays then.
    pub async fn delete(&self, storage_id: &str) -> Result<bool, Error> {
        let Some(id) = parse_id(storage_id) else { return Ok(false) };
        self.database
            .write("erase a text", move |conn| {
                conn.prepare_cached("DELETE FROM contents WHERE storage_id = ?1")?.execute([id])
            })
            .await
            .map(|rows| rows > 0)
    }

    async fn size(&self, storage_id: &str) -> Result<Option<u64>, Error> {
        let Some(id) = parse_id(storage_id) else { return Ok(None) };
        self.database
            .read("look up a text", move |conn| {
                conn.prepare_cached("SELECT length(body) FROM contents WHERE storage_id = ?1")?
                    .query_row([id], |row| row.get::<_, i64>(0))
                    .optional()
            })
            .await
            .map(|size| size.and_then(|size| u64::try_from(size).ok()))
    }
}

#[async_trait]
impl ContentStore for ContentService {
    /// Stores all texts in one commit. An empty text is refused, as the contract demands.
    async fn store(&self, texts: Vec<Bytes>) -> Vec<Result<String, ContentError>> {
        let refused: Vec<bool> = texts.iter().map(Bytes::is_empty).collect();
        let taken = texts.into_iter().filter(|text| !text.is_empty()).collect();
        let stored = self.put_all(taken).await.map_err(|error| unavailable(&error));
        let mut ids = stored.iter().flatten();
        let answers = refused.into_iter().map(|refused| match (refused, &stored) {
            (true, _) => Err(ContentError::Refused { code: "content_refused" }),
            (false, Err(error)) => Err(error.clone()),
            (false, Ok(_)) => ids.next().cloned().ok_or_else(|| unavailable(&Error::Closed)),
        });
        answers.collect()
    }

    async fn fetch(&self, id: &str) -> Result<Bytes, ContentError> {
        self.get(id).await.map_err(|error| unavailable(&error))?.ok_or(NOT_FOUND)
    }

    async fn look_up(&self, id: &str) -> Result<u64, ContentError> {
        self.size(id).await.map_err(|error| unavailable(&error))?.ok_or(NOT_FOUND)
    }
}

const NOT_FOUND: ContentError = ContentError::Refused { code: "text_not_found" };

fn unavailable(error: &Error) -> ContentError {
    tracing::debug!(error = error as &dyn std::error::Error, "the embedded Content Service is unavailable");
    ContentError::Unavailable { code: "content_database", retry_after: None }
}

fn random_id() -> Result<Id, Error> {
    let mut id = Id::default();
    getrandom::fill(&mut id).map_err(|_| Error::Random)?;
    Ok(id)
}

fn format_id(id: Id) -> String {
    format!("{:032x}", u128::from_be_bytes(id))
}

/// Parses an id of 32 hexadecimal digits of either case; `None` for anything else.
fn parse_id(text: &str) -> Option<Id> {
    let hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)).flatten()
}

#[cfg(test)]
mod tests;
