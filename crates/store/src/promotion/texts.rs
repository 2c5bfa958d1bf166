//! Texts that get new ids in another Content Service: collects their ids and replaces the old ones in all rows.

use std::collections::HashMap;

use crate::error::Error;
use crate::param::{Json, Param, params};
use crate::sql::Sql;
use crate::tx::{Tx, TxInner};

/// A work table of the copied file, which is not part of the schema.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS promotion_texts ( \
    old_id TEXT PRIMARY KEY, new_id TEXT, is_settled INTEGER NOT NULL DEFAULT 0 \
  ) STRICT, WITHOUT ROWID";

/// All ids of stored texts in rows.
macro_rules! referenced {
    () => {
        "SELECT text_storage_id FROM essays WHERE text_storage_id IS NOT NULL \
         UNION SELECT current_text_storage_id FROM essays WHERE current_text_storage_id IS NOT NULL \
         UNION SELECT text_storage_id FROM essay_phases WHERE text_storage_id IS NOT NULL \
         UNION SELECT reference FROM staged_texts WHERE reference IS NOT NULL \
         UNION SELECT json_extract(details, '$.prompt_storage_id') FROM batches \
           WHERE json_extract(details, '$.prompt_storage_id') IS NOT NULL"
    };
}

const COUNT_REFERENCED: Sql = Sql::both(
    "essays",
    "count texts",
    concat!("SELECT CAST(count(*) AS BIGINT) FROM (", referenced!(), ") AS named"),
);

const COLLECT: Sql = Sql::both(
    "promotion_texts",
    "collect the texts that rows reference",
    concat!(
        "INSERT INTO promotion_texts (old_id) SELECT * FROM (",
        referenced!(),
        ") WHERE true ON CONFLICT (old_id) DO NOTHING"
    ),
);

const PENDING: Sql = Sql::both(
    "promotion_texts",
    "list texts to copy",
    "SELECT old_id FROM promotion_texts WHERE is_settled = 0 ORDER BY old_id LIMIT $1",
);

const RECORD: Sql = Sql::both(
    "promotion_texts",
    "record new ids of texts",
    "UPDATE promotion_texts SET new_id = $1, is_settled = 1 WHERE old_id = $2",
);

const MAP: Sql = Sql::both(
    "promotion_texts",
    "read new ids of texts",
    "SELECT old_id, new_id FROM promotion_texts WHERE new_id IS NOT NULL",
);

const COUNT: Sql = Sql::both(
    "promotion_texts",
    "count texts",
    "SELECT CAST(count(*) FILTER (WHERE new_id IS NOT NULL) AS BIGINT), \
     CAST(count(*) FILTER (WHERE new_id IS NULL AND is_settled = 1) AS BIGINT), \
     CAST(count(*) FILTER (WHERE is_settled = 0) AS BIGINT) FROM promotion_texts",
);

/// Replaces ids in a column that holds nothing else.
macro_rules! replace_ids {
    ($table:literal, $column:literal) => {
        Sql::both(
            $table,
            "replace ids of texts",
            concat!(
                "UPDATE ",
                $table,
                " SET ",
                $column,
                " = (SELECT new_id FROM promotion_texts WHERE old_id = ",
                $column,
                ") WHERE ",
                $column,
                " IN (SELECT old_id FROM promotion_texts WHERE new_id IS NOT NULL)"
            ),
        )
    };
}

const REPLACE_IDS: [Sql; 5] = [
    replace_ids!("essays", "text_storage_id"),
    replace_ids!("essays", "current_text_storage_id"),
    replace_ids!("essay_phases", "text_storage_id"),
    replace_ids!("staged_texts", "reference"),
    Sql::both(
        "batches",
        "replace ids of prompts",
        "UPDATE batches SET details = json_set(details, '$.prompt_storage_id', \
           (SELECT new_id FROM promotion_texts WHERE old_id = json_extract(details, '$.prompt_storage_id'))) \
         WHERE json_extract(details, '$.prompt_storage_id') IN (SELECT old_id FROM promotion_texts WHERE new_id IS NOT NULL)",
    ),
];

/// Reads and rewrites the envelopes of pending, parked and skipped messages.
const ENVELOPES: [(Sql, Sql); 2] = [
    (
        Sql::both("outbox", "read envelopes", "SELECT event_id, payload, headers FROM outbox"),
        Sql::both(
            "outbox",
            "replace ids of texts in envelopes",
            "UPDATE outbox SET payload = $1, headers = $2 WHERE event_id = $3",
        ),
    ),
    (
        Sql::both("outbox_sent", "read envelopes", "SELECT event_id, payload, headers FROM outbox_sent"),
        Sql::both(
            "outbox_sent",
            "replace ids of texts in envelopes",
            "UPDATE outbox_sent SET payload = $1, headers = $2 WHERE event_id = $3",
        ),
    ),
];

/// Progress of copying the referenced texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MovedTexts {
    /// Texts with a new id.
    pub moved: i64,
    /// Texts that keep their id: the embedded Content Service does not have them.
    pub kept: i64,
    /// Texts that are still to be copied.
    pub pending: i64,
}

impl Tx {
    /// The number of different texts that rows reference.
    pub async fn count_referenced_texts(&mut self) -> Result<i64, Error> {
        Ok(self.one(COUNT_REFERENCED, &[], |row| row.get(0)).await?.unwrap_or(0))
    }

    /// Collects the ids of the referenced texts in a work table. SQLite only.
    pub async fn collect_texts(&mut self) -> Result<(), Error> {
        if let TxInner::Sqlite(conn) = &self.inner {
            conn.execute_batch(CREATE).map_err(|e| Error::sqlite(COLLECT.doing, e))?;
        }
        self.exec(COLLECT, &[]).await.map(drop)
    }

    /// At most `limit` ids of texts that are still to be copied.
    pub async fn pending_texts(&mut self, limit: u32) -> Result<Vec<String>, Error> {
        self.all(PENDING, params![limit], |row| row.get(0)).await
    }

    /// Records the new ids of texts: pairs of the old and the new id, `None` for a text that keeps its id.
    pub async fn record_text_ids(&mut self, texts: &[(String, Option<String>)]) -> Result<(), Error> {
        let rows: Vec<_> =
            texts.iter().map(|(old, new)| [Param::from(new.as_deref()), Param::from(old)]).collect();
        self.exec_many(RECORD, &[], &rows).await.map(drop)
    }

    /// The new ids of texts, by old id.
    pub async fn new_text_ids(&mut self) -> Result<HashMap<String, String>, Error> {
        Ok(self.all(MAP, &[], |row| Ok((row.get(0)?, row.get(1)?))).await?.into_iter().collect())
    }

    /// The progress of copying texts.
    pub async fn count_texts(&mut self) -> Result<MovedTexts, Error> {
        let count = self.one(COUNT, &[], |row| {
            Ok(MovedTexts { moved: row.get(0)?, kept: row.get(1)?, pending: row.get(2)? })
        });
        Ok(count.await?.unwrap_or_default())
    }

    /// Replaces the old ids of texts by the new ones in all rows and envelopes.
    pub async fn replace_text_ids(&mut self) -> Result<(), Error> {
        for sql in REPLACE_IDS {
            self.exec(sql, &[]).await?;
        }
        let map = self.new_text_ids().await?;
        for (read, write) in ENVELOPES {
            let rows: Vec<(uuid::Uuid, Vec<u8>, String)> = self
                .all(read, &[], |row| Ok((row.get(0)?, row.get(1)?, row.get::<crate::row::JsonText>(2)?.0)))
                .await?;
            for (event, payload, headers) in rows {
                let replaced = (replace_in(&payload, &map), replace_in(headers.as_bytes(), &map));
                if replaced == (None, None) {
                    continue;
                }
                let payload = replaced.0.unwrap_or(payload);
                let headers = replaced.1.map_or(Ok(headers), String::from_utf8);
                let headers = headers.map_err(|_| Error::corrupt(write.table, "headers", event))?;
                self.exec(write, params![&payload, Json(&headers), event]).await?;
            }
        }
        Ok(())
    }
}

/// The bytes with old ids replaced by new ones; `None` if they contain no old id.
fn replace_in(bytes: &[u8], map: &HashMap<String, String>) -> Option<Vec<u8>> {
    let mut replaced = None;
    let mut rest = bytes;
    let mut out = Vec::with_capacity(bytes.len());
    while let Some(first) = rest.first() {
        let in_id = is_id_byte(*first);
        let end = rest.iter().position(|byte| is_id_byte(*byte) != in_id).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let new = std::str::from_utf8(word).ok().filter(|_| in_id).and_then(|word| map.get(word));
        if new.is_some() {
            replaced = Some(());
        }
        out.extend_from_slice(new.map_or(word, String::as_bytes));
        rest = behind;
    }
    replaced.map(|()| out)
}

/// Whether a byte belongs to the alphabet of storage ids.
const fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_replaced_as_a_whole_word_only() {
        let map = HashMap::from([("0a".to_owned(), "new-1".to_owned())]);
        let replaced = replace_in(br#"{"text":"0a","more":["0a","0ab"],"note":"see 0a."}"#, &map).unwrap();
        assert_eq!(
            String::from_utf8(replaced).unwrap(),
            r#"{"text":"new-1","more":["new-1","0ab"],"note":"see new-1."}"#
        );
        assert_eq!(replace_in(b"x0a \xff", &map), None);
    }
}
