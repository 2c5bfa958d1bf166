//! Parameters of statements, in the native types of both databases.

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use uuid::Uuid;

use crate::error::Error;
use crate::sqlx::postgres::PgArguments;
use crate::sqlx::{self, Arguments as _};

/// A value bound to a placeholder. A null has a type too, because PostgreSQL needs it.
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

/// Marks a text as JSON, so that it is bound as JSONB on PostgreSQL.
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

/// `params![a, b, c]` is a slice of [`Param`]s made from its arguments.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::param::Param::from($value)),*] };
}
pub(crate) use params;

/// The text of a time in SQLite. Its width is fixed, so that text order is time order.
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

/// Appends parameters to the arguments of a PostgreSQL statement.
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
        .map_err(|source| Error::Rejected { doing, source: std::sync::Arc::from(source) })?;
    }
    Ok(())
}

/// Appends the `fixed` parameters, then the rows as one array per column. All values of a column have the same variant.
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
    // Four bytes of length before each value. Reserved at once, because a growing buffer is copied repeatedly.
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
        .map_err(|source| Error::Rejected { doing, source: std::sync::Arc::from(source) })?;
    }
    Ok(())
}

impl Param<'_> {
    /// The approximate size of the value on the wire, in bytes.
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
