//! An operator's decision about each of some parked messages.

use api::admin::outbox::{self, Decision};
use client::documents::{OutboxOutcome, OutboxPosition};
use client::read;
use serde_json::json;

use crate::commands::Exit;
use crate::commands::database::backend::{Backend, ItemOutcome, found, print_outcomes};
use crate::commands::output::Output;

/// Carries the decision out for each message in a transaction of its own, and prints the outcomes. The outcome is
/// `not_parked` where no parked message has the id.
pub(super) async fn each(
    backend: &Backend,
    positions: &[OutboxPosition],
    decision: Decision,
    output: &Output,
) -> anyhow::Result<Exit> {
    let mut outcomes = Vec::with_capacity(positions.len());
    match backend {
        Backend::Server(client) => {
            for position in positions {
                let path = format!("v1/outbox/{position}/{}", decision.verb());
                let answer = found(client.post_once(&path, &json!({})).await)?;
                outcomes.push(answer.map(read::<OutboxOutcome>).transpose()?);
            }
        }
        Backend::Database(database) => {
            let store = database.open().await?;
            for position in positions.iter().copied() {
                outcomes.push(outbox::decide(&store, position, decision).await?);
            }
            store.close().await;
        }
    }
    let rows: Vec<ItemOutcome> = positions
        .iter()
        .zip(outcomes)
        .map(|(position, outcome)| ItemOutcome {
            id: position.to_string(),
            outcome: outcome.map_or_else(|| "not_parked".to_owned(), |outcome| outcome.outcome),
        })
        .collect();
    print_outcomes(output, &rows, "not_parked")
}
