//! `GET /v1/batch`: list the batches of the caller.

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use client::documents::{BatchPage, BatchSummary, EssayTotals};
use domain::{Batch, BatchId, BatchStatus, Kind};
use serde::Deserialize;
use store::{BatchRow, Labels, ListFilter, Private};

use crate::app::App;
use crate::auth::Caller;
use crate::paging;
use crate::problem::Problem;
use crate::query::Query;
use crate::{reply, schemas};

/// Parameters of the list of batches.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Only batches with this status; repeated: with any of these.
    #[serde(default)]
    #[param(schema_with = schemas::batch_statuses, required = false)]
    status: Vec<BatchStatus>,
    /// `class` (default), or `single` for the batches of single essays.
    #[param(schema_with = schemas::kind, required = false)]
    kind: Option<Kind>,
    /// `true`: only batches that need attention; `false`: only batches that do not.
    attention: Option<bool>,
    /// Only batches with this label, such as `class:9B`; repeated: with all of these.
    #[serde(default)]
    #[param(required = false)]
    label: Vec<String>,
    /// Only batches created at this time or later.
    created_after: Option<DateTime<Utc>>,
    /// Only batches created before this time.
    created_before: Option<DateTime<Utc>>,
    /// `-created_at` (default): newest first; `created_at`: oldest first.
    #[param(schema_with = schemas::sort, required = false)]
    sort: Option<Sort>,
    /// Most batches in a page, from 1 to 500; default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
    /// `counts` adds the number of batches of each status, over all pages.
    #[param(schema_with = schemas::include, required = false)]
    include: Option<Include>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Sort {
    #[serde(rename = "-created_at")]
    YoungestFirst,
    #[serde(rename = "created_at")]
    OldestFirst,
}

/// What a list can contain in addition to its page.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Include {
    Counts,
}

/// List batches
///
/// The batches of the caller, newest first.
#[utoipa::path(
    get, path = "/v1/batch", tag = "batches", operation_id = "list_batches",
    params(Parameters),
    responses(
        (status = 200, description = "A page of batches.", body = BatchPage),
        (status = 400, description = "A parameter is invalid.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(owner): Caller,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Problem> {
    let with_counts = parameters.include.is_some();
    let limit = paging::limit(parameters.limit)?;
    let filter = filter(parameters, limit + 1)?;
    let (rows, totals) = app
        .engine()
        .store()
        .read(move |tx| {
            Box::pin(async move {
                let rows = tx.list(&owner, &filter).await?;
                let totals = if with_counts { Some(tx.list_totals(&owner, &filter).await?) } else { None };
                Ok((rows, totals))
            })
        })
        .await
        .map_err(|error: store::Error| Problem::from(error))?;
    let summaries = rows.into_iter().map(summary).collect();
    reply::document(&BatchPage {
        page: paging::page(summaries, limit, |last: &BatchSummary| {
            format!("{}.{}", last.created_at.timestamp_micros(), last.batch_id)
        }),
        counts: totals.map(|totals| {
            totals.into_iter().map(|(status, count)| (status.as_str().to_owned(), count)).collect()
        }),
    })
}

fn filter(parameters: Parameters, limit: u32) -> Result<ListFilter, Problem> {
    Ok(ListFilter {
        kind: parameters.kind.unwrap_or(Kind::Class),
        statuses: parameters.status,
        attention: parameters.attention,
        labels: parameters.label.iter().map(|label| parse_label(label)).collect::<Result<Labels, _>>()?,
        created_after: check_time("created_after", parameters.created_after)?,
        created_before: check_time("created_before", parameters.created_before)?,
        after: parameters
            .cursor
            .map(|cursor| parse_cursor(&cursor).ok_or_else(paging::bad_cursor))
            .transpose()?,
        descending: parameters.sort != Some(Sort::OldestFirst),
        limit,
    })
}

/// Refuses a time that not every database can store.
fn check_time(parameter: &str, time: Option<DateTime<Utc>>) -> Result<Option<DateTime<Utc>>, Problem> {
    match time {
        Some(time) if !paging::is_in_reach(time) => {
            Err(paging::invalid(parameter, "expected a time from the year 1 to the year 9999"))
        }
        time => Ok(time),
    }
}

fn parse_label(label: &str) -> Result<(String, Private<String>), Problem> {
    let (key, value) = label
        .split_once(':')
        .ok_or_else(|| paging::invalid("label", "expected key:value, such as class:9B"))?;
    // No stored label has one, and PostgreSQL refuses U+0000 in a query.
    if label.chars().any(char::is_control) {
        return Err(paging::invalid("label", "contains a control character"));
    }
    Ok((key.to_owned(), Private(value.to_owned())))
}

fn parse_cursor(cursor: &str) -> Option<(DateTime<Utc>, BatchId)> {
    let (at, id) = cursor.split_once('.')?;
    Some((paging::cursor_time(at)?, id.parse().ok()?))
}

fn summary(row: BatchRow) -> BatchSummary {
    let batch: Batch = row.batch;
    BatchSummary {
        batch_id: batch.id,
        name: row.name.map(|name| name.0),
        kind: batch.kind,
        status: batch.status(),
        revision: batch.revision,
        needs_attention: batch.attention.is_some(),
        paused: batch.paused,
        essays: EssayTotals { total: batch.total, succeeded: batch.succeeded, failed: batch.failed },
        created_at: batch.created_at,
        updated_at: batch.updated_at,
        ended_at: batch.ended_at,
    }
}
