//! Parked rows of the outbox, by the names that `bos outbox pending` prints, and what is decided about them.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use store::{Lane, Store};

use crate::commands::Exit;
use crate::commands::output::Output;

/// A row: its shard and its number there, written `shard/number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    shard: i64,
    row: i64,
}

impl Place {
    pub(super) fn of(row: &store::WaitingRow) -> Self {
        Self { shard: row.shard, row: row.id }
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place =
            text.split_once('/').and_then(|(shard, row)| Some((shard.parse().ok()?, row.parse().ok()?)));
        let (shard, row) = place.ok_or("SHARD/ROW is expected, as `bos outbox pending` prints it")?;
        Ok(Self { shard, row })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.shard, self.row)
    }
}

/// What an operator decides about a parked message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    /// Send it again.
    Retry,
    /// Go on without it.
    Skip,
}

#[derive(Serialize)]
struct Row {
    id: String,
    /// `pending`, `skipped`, or `not_parked` where there is no such parked row.
    outcome: &'static str,
}

/// Carries a verdict out for each row, in a unit of its own, and tells what became of it.
pub(super) async fn each(
    store: &Store,
    places: &[Place],
    verdict: Verdict,
    output: &Output,
) -> anyhow::Result<Exit> {
    let mut rows = Vec::with_capacity(places.len());
    for Place { shard, row } in places.iter().copied() {
        let changed: Result<bool, store::Error> = store
            .unit(Lane::Caller, move |tx| {
                Box::pin(async move {
                    match verdict {
                        Verdict::Retry => tx.unpark_outbox(shard, row).await,
                        Verdict::Skip => tx.skip_outbox(shard, row).await,
                    }
                })
            })
            .await;
        let outcome = match (changed?, verdict) {
            (true, Verdict::Retry) => "pending",
            (true, Verdict::Skip) => "skipped",
            (false, _) => "not_parked",
        };
        rows.push(Row { id: Place { shard, row }.to_string(), outcome });
    }
    output.rows(&["id", "outcome"], &rows, |row| vec![row.id.clone(), row.outcome.to_owned()])?;
    let missing = rows.iter().filter(|row| row.outcome == "not_parked").count();
    Ok(match missing {
        0 => Exit::Ok,
        missing if missing == rows.len() => Exit::NotFound,
        _ => Exit::SomeFailed,
    })
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_row_is_named_as_it_is_printed() {
        let place: Place = "12/3456".parse().unwrap();
        assert_eq!(place.to_string(), "12/3456");
        for wrong in ["", "12", "12/", "a/b", "1/2/3"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
