//! Texts that another Content Service keeps under ids of its own: which there are, and where their old ids stand.

use std::collections::HashMap;

use crate::error::Error;
use crate::param::{Json, Param, params};
use crate::tx::{Sql, Tx, TxInner};

/// A table of the copy's own, which no other file has: it is no part of the schema.
const MAKE: &str = "CREATE TABLE IF NOT EXISTS promotion_texts ( \
    old_id TEXT PRIMARY KEY, new_id TEXT, is_settled INTEGER NOT NULL DEFAULT 0 \
  ) STRICT, WITHOUT ROWID";

/// Everything in a row that names a stored text.
macro_rules! named {
    () => {
        "SELECT text_storage_id FROM essays WHERE text_storage_id IS NOT NULL \
         UNION SELECT current_text_storage_id FROM essays WHERE current_text_storage_id IS NOT NULL \
         UNION SELECT text_storage_id FROM essay_phases WHERE text_storage_id IS NOT NULL \
         UNION SELECT reference FROM staged_texts WHERE reference IS NOT NULL \
         UNION SELECT json_extract(details, '$.prompt_storage_id') FROM batches \
           WHERE json_extract(details, '$.prompt_storage_id') IS NOT NULL"
    };
}

const NAMED: Sql = Sql::both(
    "essays",
    "count texts",
    concat!("SELECT CAST(count(*) AS BIGINT) FROM (", named!(), ") AS named"),
);

const LIST: Sql = Sql::both(
    "promotion_texts",
    "list the texts that rows name",
    concat!(
        "INSERT INTO promotion_texts (old_id) SELECT * FROM (",
        named!(),
        ") WHERE true ON CONFLICT (old_id) DO NOTHING"
    ),
);

const UNSETTLED: Sql = Sql::both(
    "promotion_texts",
    "list texts to move",
    "SELECT old_id FROM promotion_texts WHERE is_settled = 0 ORDER BY old_id LIMIT $1",
);

const SETTLE: Sql = Sql::both(
    "promotion_texts",
    "note where texts are now",
    "UPDATE promotion_texts SET new_id = $1, is_settled = 1 WHERE old_id = $2",
);

const MAP: Sql = Sql::both(
    "promotion_texts",
    "read where texts are now",
    "SELECT old_id, new_id FROM promotion_texts WHERE new_id IS NOT NULL",
);

const COUNT: Sql = Sql::both(
    "promotion_texts",
    "count texts",
    "SELECT CAST(count(*) FILTER (WHERE new_id IS NOT NULL) AS BIGINT), \
     CAST(count(*) FILTER (WHERE new_id IS NULL AND is_settled = 1) AS BIGINT), \
     CAST(count(*) FILTER (WHERE is_settled = 0) AS BIGINT) FROM promotion_texts",
);

/// A column that holds an id and nothing else.
macro_rules! rename {
    ($table:literal, $column:literal) => {
        Sql::both(
            $table,
            "give texts their new ids",
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

const RENAME: [Sql; 5] = [
    rename!("essays", "text_storage_id"),
    rename!("essays", "current_text_storage_id"),
    rename!("essay_phases", "text_storage_id"),
    rename!("staged_texts", "reference"),
    Sql::both(
        "batches",
        "give prompts their new ids",
        "UPDATE batches SET details = json_set(details, '$.prompt_storage_id', \
           (SELECT new_id FROM promotion_texts WHERE old_id = json_extract(details, '$.prompt_storage_id'))) \
         WHERE json_extract(details, '$.prompt_storage_id') IN (SELECT old_id FROM promotion_texts WHERE new_id IS NOT NULL)",
    ),
];

/// Envelopes of messages that wait, or that were given up.
const ENVELOPES: [(Sql, Sql); 2] = [
    (
        Sql::both("outbox", "read envelopes", "SELECT event_id, payload, headers FROM outbox"),
        Sql::both(
            "outbox",
            "give texts their new ids in envelopes",
            "UPDATE outbox SET payload = $1, headers = $2 WHERE event_id = $3",
        ),
    ),
    (
        Sql::both("outbox_sent", "read envelopes", "SELECT event_id, payload, headers FROM outbox_sent"),
        Sql::both(
            "outbox_sent",
            "give texts their new ids in envelopes",
            "UPDATE outbox_sent SET payload = $1, headers = $2 WHERE event_id = $3",
        ),
    ),
];

/// What has become of the texts that rows name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MovedTexts {
    /// Those with a new id.
    pub moved: i64,
    /// Those that keep theirs: the embedded Content Service never had them, or has them no more.
    pub kept: i64,
    /// Those that nobody has looked after yet.
    pub left: i64,
}

impl Tx {
    /// How many texts rows name.
    pub async fn count_named_texts(&mut self) -> Result<i64, Error> {
        Ok(self.one(NAMED, &[], |row| row.get(0)).await?.unwrap_or(0))
    }

    /// Lists the texts that rows name, each once, in a table beside them. SQLite only.
    pub async fn list_texts(&mut self) -> Result<(), Error> {
        if let TxInner::Sqlite(conn) = &self.inner {
            conn.execute_batch(MAKE).map_err(|e| Error::sqlite(LIST.doing, e))?;
        }
        self.exec(LIST, &[]).await.map(drop)
    }

    /// Texts that nobody has looked after yet.
    pub async fn unsettled_texts(&mut self, limit: u32) -> Result<Vec<String>, Error> {
        self.all(UNSETTLED, params![limit], |row| row.get(0)).await
    }

    /// Notes the new ids of texts; none for one that keeps its own.
    pub async fn settle_texts(&mut self, texts: &[(String, Option<String>)]) -> Result<(), Error> {
        let rows: Vec<_> =
            texts.iter().map(|(old, new)| [Param::from(new.as_deref()), Param::from(old)]).collect();
        self.exec_many(SETTLE, &[], &rows).await.map(drop)
    }

    /// The texts with a new id: old and new.
    pub async fn text_map(&mut self) -> Result<HashMap<String, String>, Error> {
        Ok(self.all(MAP, &[], |row| Ok((row.get(0)?, row.get(1)?))).await?.into_iter().collect())
    }

    /// How many texts there are.
    pub async fn count_texts(&mut self) -> Result<MovedTexts, Error> {
        let count = self.one(COUNT, &[], |row| {
            Ok(MovedTexts { moved: row.get(0)?, kept: row.get(1)?, left: row.get(2)? })
        });
        Ok(count.await?.unwrap_or_default())
    }

    /// Puts the new id wherever an old one stands.
    pub async fn rename_texts(&mut self) -> Result<(), Error> {
        for sql in RENAME {
            self.exec(sql, &[]).await?;
        }
        let map = self.text_map().await?;
        for (read, write) in ENVELOPES {
            let rows: Vec<(uuid::Uuid, Vec<u8>, String)> = self
                .all(read, &[], |row| Ok((row.get(0)?, row.get(1)?, row.get::<crate::param::JsonText>(2)?.0)))
                .await?;
            for (event, payload, headers) in rows {
                let renamed = (rename_in(&payload, &map), rename_in(headers.as_bytes(), &map));
                if renamed == (None, None) {
                    continue;
                }
                let payload = renamed.0.unwrap_or(payload);
                let headers = renamed.1.map_or(Ok(headers), String::from_utf8);
                let headers = headers.map_err(|_| Error::corrupt(write.table, "headers", event))?;
                self.exec(write, params![&payload, Json(&headers), event]).await?;
            }
        }
        Ok(())
    }
}

/// The same bytes with new ids for old ones; none when no old id stands there.
fn rename_in(bytes: &[u8], map: &HashMap<String, String>) -> Option<Vec<u8>> {
    let mut renamed = None;
    let mut rest = bytes;
    let mut out = Vec::with_capacity(bytes.len());
    while let Some(first) = rest.first() {
        let of_id = is_of_id(*first);
        let end = rest.iter().position(|byte| is_of_id(*byte) != of_id).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let new = std::str::from_utf8(word).ok().filter(|_| of_id).and_then(|word| map.get(word));
        if new.is_some() {
            renamed = Some(());
        }
        out.extend_from_slice(new.map_or(word, String::as_bytes));
        rest = behind;
    }
    renamed.map(|()| out)
}

/// The alphabet of storage ids.
const fn is_of_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_renamed_where_it_stands_whole_and_nowhere_else() {
        let map = HashMap::from([("0a".to_owned(), "new-1".to_owned())]);
        let renamed = rename_in(br#"{"text":"0a","more":["0a","0ab"],"note":"see 0a."}"#, &map).unwrap();
        assert_eq!(
            String::from_utf8(renamed).unwrap(),
            r#"{"text":"new-1","more":["new-1","0ab"],"note":"see new-1."}"#
        );
        assert_eq!(rename_in(b"x0a \xff", &map), None);
    }
}
