//! Rows that a query returns, read into the types of this crate.

use chrono::{DateTime, TimeZone as _, Utc};
use rusqlite::types::ValueRef;
use uuid::Uuid;

use crate::error::Error;
use crate::sqlx::postgres::PgRow;
use crate::sqlx::{self, Row as _};

/// One row of a result. Columns are read by position; a value of an unexpected type is [`Error::Corrupt`].
pub(crate) struct Row<'r> {
    pub(crate) table: &'static str,
    pub(crate) inner: RowInner<'r>,
}

pub(crate) enum RowInner<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r PgRow),
}

impl std::fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row of {}", self.table)
    }
}

/// Positions of columns as text, for [`Error::Corrupt`].
const POSITIONS: [&str; 24] = [
    "column 0",
    "column 1",
    "column 2",
    "column 3",
    "column 4",
    "column 5",
    "column 6",
    "column 7",
    "column 8",
    "column 9",
    "column 10",
    "column 11",
    "column 12",
    "column 13",
    "column 14",
    "column 15",
    "column 16",
    "column 17",
    "column 18",
    "column 19",
    "column 20",
    "column 21",
    "column 22",
    "column 23",
];

impl Row<'_> {
    /// The value of the column at `index`.
    pub(crate) fn get<T: Column>(&self, index: usize) -> Result<T, Error> {
        T::read(&self.inner, index).ok_or_else(|| self.unreadable(index))
    }

    /// The value of a JSON column, deserialized.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, index: usize) -> Result<T, Error> {
        let text: String = self.get::<JsonText>(index)?.0;
        serde_json::from_str(&text).map_err(|_| self.unreadable(index))
    }

    /// The value of a text column that holds a word of an enumeration.
    pub(crate) fn word<T: std::str::FromStr>(&self, index: usize) -> Result<T, Error> {
        self.get::<String>(index)?.parse().map_err(|_| self.unreadable(index))
    }

    /// As [`Row::word`], for a column that may be null.
    pub(crate) fn optional_word<T: std::str::FromStr>(&self, index: usize) -> Result<Option<T>, Error> {
        let word: Option<String> = self.get(index)?;
        word.map(|word| word.parse()).transpose().map_err(|_| self.unreadable(index))
    }

    /// The error for a column of this row with an invalid value.
    pub(crate) fn unreadable(&self, index: usize) -> Error {
        Error::corrupt(self.table, POSITIONS.get(index).copied().unwrap_or("a column after 23"), "")
    }
}

/// A JSON column as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonText(pub(crate) String);

/// A type that a column can be read as.
pub(crate) trait Column: Sized {
    /// The value; `None` if the column has another type.
    fn read(row: &RowInner<'_>, index: usize) -> Option<Self>;
}

macro_rules! column {
    ($t:ty, sqlite |$v:ident| $from:expr, postgres $pg:ty => $map:expr) => {
        impl Column for $t {
            fn read(row: &RowInner<'_>, index: usize) -> Option<Self> {
                match row {
                    RowInner::Sqlite(row) => {
                        let $v = row.get_ref(index).ok()?;
                        $from
                    }
                    RowInner::Postgres(row) => row.try_get::<$pg, _>(index).ok().and_then($map),
                }
            }
        }
        impl Column for Option<$t> {
            fn read(row: &RowInner<'_>, index: usize) -> Option<Self> {
                match row {
                    RowInner::Sqlite(inner) => {
                        if matches!(inner.get_ref(index).ok()?, ValueRef::Null) {
                            return Some(None);
                        }
                        <$t>::read(row, index).map(Some)
                    }
                    RowInner::Postgres(row) => match row.try_get::<Option<$pg>, _>(index).ok()? {
                        None => Some(None),
                        Some(v) => ($map)(v).map(Some),
                    },
                }
            }
        }
    };
}

column!(i64, sqlite |v| v.as_i64().ok(), postgres i64 => Some);
column!(u32, sqlite |v| v.as_i64().ok()?.try_into().ok(), postgres i64 => |v: i64| v.try_into().ok());
column!(u16, sqlite |v| v.as_i64().ok()?.try_into().ok(), postgres i64 => |v: i64| v.try_into().ok());
column!(bool, sqlite |v| v.as_i64().ok().map(|v| v != 0), postgres i64 => |v: i64| Some(v != 0));
column!(String, sqlite |v| v.as_str().ok().map(str::to_owned), postgres String => Some);
column!(Vec<u8>, sqlite |v| v.as_blob().ok().map(<[u8]>::to_vec), postgres Vec<u8> => Some);
column!(Uuid, sqlite |v| Uuid::from_slice(v.as_blob().ok()?).ok(), postgres Uuid => Some);
column!(DateTime<Utc>, sqlite |v| parse_time(v.as_str().ok()?), postgres DateTime<Utc> => Some);
column!(
    JsonText,
    sqlite |v| v.as_str().ok().map(|v| JsonText(v.to_owned())),
    postgres sqlx::types::Json<Box<serde_json::value::RawValue>> => |v: sqlx::types::Json<Box<serde_json::value::RawValue>>| Some(JsonText(v.0.get().to_owned()))
);
column!(
    domain::BatchId,
    sqlite |v| domain::BatchId::from_uuid(Uuid::from_slice(v.as_blob().ok()?).ok()?).ok(),
    postgres Uuid => |v| domain::BatchId::from_uuid(v).ok()
);
column!(
    domain::EssayId,
    sqlite |v| domain::EssayId::try_from(Uuid::from_slice(v.as_blob().ok()?).ok()?).ok(),
    postgres Uuid => |v| domain::EssayId::try_from(v).ok()
);
column!(
    domain::StorageId,
    sqlite |v| v.as_str().ok()?.parse().ok(),
    postgres String => |v: String| v.parse().ok()
);

/// Parses the fixed-width form of [`time_text`](crate::param::time_text). A general parser is slower, and every row has a time.
fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
    if text.len() != 27 {
        return None;
    }
    let day = chrono::NaiveDate::from_ymd_opt(text.get(0..4)?.parse().ok()?, number(5..7)?, number(8..10)?)?;
    Some(Utc.from_utc_datetime(&day.and_hms_micro_opt(
        number(11..13)?,
        number(14..16)?,
        number(17..19)?,
        number(20..26)?,
    )?))
}
