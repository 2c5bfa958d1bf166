//! Values on their way into a statement and out of a row, in the native types of both databases.

use chrono::{DateTime, SecondsFormat, TimeZone as _, Utc};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use uuid::Uuid;

use crate::error::Error;
use crate::sqlx::postgres::{PgArguments, PgRow};
use crate::sqlx::{self, Arguments as _, Row as _};

/// A value bound to a placeholder. Each variant carries its type also when it is null, which PostgreSQL wants to know.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Param<'a> {
    /// BIGINT / INTEGER.
    Int(Option<i64>),
    /// TEXT.
    Text(Option<&'a str>),
    /// BYTEA / BLOB.
    Bytes(Option<&'a [u8]>),
    /// UUID / BLOB of 16 bytes.
    Uuid(Option<Uuid>),
    /// TIMESTAMPTZ / TEXT of fixed width, microseconds, `Z`.
    Time(Option<DateTime<Utc>>),
    /// JSONB / TEXT.
    Json(Option<&'a str>),
}

macro_rules! into_param {
    ($($variant:ident: $t:ty => $convert:expr),* $(,)?) => {$(
        impl<'a> From<$t> for Param<'a> {
            fn from(value: $t) -> Self { Self::$variant(Some(($convert)(value))) }
        }
        impl<'a> From<Option<$t>> for Param<'a> {
            fn from(value: Option<$t>) -> Self { Self::$variant(value.map($convert)) }
        }
    )*};
}

into_param! {
    Int: i64 => |v| v,
    Int: u32 => i64::from,
    Int: u16 => i64::from,
    Int: bool => i64::from,
    Text: &'a str => |v| v,
    Text: &'a String => String::as_str,
    Text: &'a domain::StorageId => domain::StorageId::as_str,
    Bytes: &'a [u8] => |v| v,
    Bytes: &'a bytes::Bytes => |v: &'a bytes::Bytes| v.as_ref(),
    Bytes: &'a Vec<u8> => Vec::as_slice,
    Uuid: Uuid => |v| v,
    Uuid: domain::BatchId => |v: domain::BatchId| v.as_uuid(),
    Uuid: domain::EssayId => |v: domain::EssayId| v.as_uuid(),
    Time: DateTime<Utc> => |v| v,
}

/// Marks a text as JSON, so that PostgreSQL stores it as JSONB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'a>(pub(crate) &'a str);

impl<'a> From<Json<'a>> for Param<'a> {
    fn from(value: Json<'a>) -> Self {
        Self::Json(Some(value.0))
    }
}

impl<'a> From<Option<Json<'a>>> for Param<'a> {
    fn from(value: Option<Json<'a>>) -> Self {
        Self::Json(value.map(|v| v.0))
    }
}

/// `params![a, b, c]` is the slice of [`Param`]s made from its arguments.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::param::Param::from($value)),*] };
}
pub(crate) use params;

/// How a time is written in SQLite: fixed width, so that text order is time order.
pub(crate) fn time_text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

impl rusqlite::ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let null = ToSqlOutput::Owned(Value::Null);
        Ok(match self {
            Self::Int(v) => v.map_or(null, |v| ToSqlOutput::Owned(Value::Integer(v))),
            Self::Text(v) | Self::Json(v) => {
                v.map_or(null, |v| ToSqlOutput::Borrowed(ValueRef::Text(v.as_bytes())))
            }
            Self::Bytes(v) => v.map_or(null, |v| ToSqlOutput::Borrowed(ValueRef::Blob(v))),
            Self::Uuid(v) => v.map_or(null, |v| ToSqlOutput::Owned(Value::Blob(v.as_bytes().to_vec()))),
            Self::Time(v) => v.map_or(null, |v| ToSqlOutput::Owned(Value::Text(time_text(v)))),
        })
    }
}

/// The parameters in the form that sqlx binds.
pub(crate) fn pg_arguments<'a>(
    arguments: &mut PgArguments,
    doing: &'static str,
    params: impl IntoIterator<Item = &'a Param<'a>>,
) -> Result<(), Error> {
    for param in params {
        match param {
            Param::Int(v) => arguments.add(*v),
            Param::Text(v) => arguments.add(v.map(str::to_owned)),
            Param::Bytes(v) => arguments.add(v.map(<[u8]>::to_vec)),
            Param::Uuid(v) => arguments.add(*v),
            Param::Time(v) => arguments.add(*v),
            Param::Json(v) => match v.map(|v| serde_json::value::RawValue::from_string(v.to_owned())) {
                None => arguments.add(None::<sqlx::types::Json<()>>),
                Some(Ok(raw)) => arguments.add(sqlx::types::Json(raw)),
                Some(Err(error)) => Err(error.into()),
            },
        }
        .map_err(|source| Error::Refused { doing, source: std::sync::Arc::from(source) })?;
    }
    Ok(())
}

/// The `fixed` parameters, then the rows as one array per column. A column holds one kind of value.
pub(crate) fn pg_columns<const N: usize>(
    arguments: &mut PgArguments,
    doing: &'static str,
    fixed: &[Param<'_>],
    rows: &[[Param<'_>; N]],
) -> Result<(), Error> {
    macro_rules! array {
        ($column:expr, $variant:ident) => {
            $column.map(|p| if let Param::$variant(v) = p { *v } else { None }).collect::<Vec<_>>()
        };
    }
    pg_arguments(arguments, doing, fixed)?;
    // Each value comes with its length. A buffer that grows as it is filled is copied again and again.
    arguments.reserve(N, rows.iter().flatten().map(|value| value.size() + 4).sum());
    for at in 0..N {
        let column = rows.iter().filter_map(|row| row.get(at));
        match column.clone().next() {
            None => Ok(()),
            Some(Param::Int(_)) => arguments.add(array!(column, Int)),
            Some(Param::Text(_)) => arguments.add(array!(column, Text)),
            Some(Param::Json(_)) => arguments.add(array!(column, Json)),
            Some(Param::Bytes(_)) => arguments.add(array!(column, Bytes)),
            Some(Param::Uuid(_)) => arguments.add(array!(column, Uuid)),
            Some(Param::Time(_)) => arguments.add(array!(column, Time)),
        }
        .map_err(|source| Error::Refused { doing, source: std::sync::Arc::from(source) })?;
    }
    Ok(())
}

/// One row of an answer. Columns are read by position; a value of another type is [`Error::Corrupt`].
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

/// The position of a column, as text for errors.
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

    /// The value of a JSON column, as the type it was written from.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, index: usize) -> Result<T, Error> {
        let text: String = self.get::<JsonText>(index)?.0;
        serde_json::from_str(&text).map_err(|_| self.unreadable(index))
    }

    /// The value of a text column that holds one of a closed set of words.
    pub(crate) fn word<T: std::str::FromStr>(&self, index: usize) -> Result<T, Error> {
        self.get::<String>(index)?.parse().map_err(|_| self.unreadable(index))
    }

    /// As [`Row::word`], for a column that may be null.
    pub(crate) fn optional_word<T: std::str::FromStr>(&self, index: usize) -> Result<Option<T>, Error> {
        let word: Option<String> = self.get(index)?;
        word.map(|word| word.parse()).transpose().map_err(|_| self.unreadable(index))
    }

    /// The error for a column of this row that holds what it never should.
    pub(crate) fn unreadable(&self, index: usize) -> Error {
        Error::corrupt(self.table, POSITIONS.get(index).copied().unwrap_or("a late column"), "")
    }
}

/// A JSON column as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonText(pub(crate) String);

/// A type that a column can be read as.
pub(crate) trait Column: Sized {
    /// The value, unless the column holds something else.
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

/// Reads the fixed-width form of [`time_text`] without a general parser: it stands in every row.
fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
    if text.len() != 27 {
        return None;
    }
    let day = chrono::NaiveDate::from_ymd_opt(text.get(0..4)?.parse().ok()?, part(5..7)?, part(8..10)?)?;
    Some(Utc.from_utc_datetime(&day.and_hms_micro_opt(
        part(11..13)?,
        part(14..16)?,
        part(17..19)?,
        part(20..26)?,
    )?))
}

impl Param<'_> {
    /// Roughly how many bytes the value takes on the wire.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Int(_) => 8,
            Self::Uuid(_) => 16,
            Self::Time(_) => 27,
            Self::Text(v) | Self::Json(v) => v.map_or(0, str::len),
            Self::Bytes(v) => v.map_or(0, <[u8]>::len),
        }
    }
}
