//! Following a batch until nothing more happens by itself.

use std::time::Duration;

use uuid::Uuid;

use super::Exit;
use super::client::{Client, Failure, read};
use super::output::Output;
use super::progress::Bars;
use super::shapes::Status;

/// How long the server is asked to hold an answer back until something changes.
const WAIT: Duration = Duration::from_secs(10);

/// How following ended.
#[derive(Debug)]
pub(super) enum Followed {
    /// Nothing more happens by itself.
    AtRest(Status),
    /// The time given was over first.
    OutOfTime,
}

/// Shows the batch's progress until it is at rest, at most for `timeout`.
pub(super) async fn follow(
    client: &Client,
    batch: Uuid,
    bars: &mut Bars,
    timeout: Option<Duration>,
) -> Result<Followed, Failure> {
    let followed = match timeout {
        None => to_rest(client, batch, bars).await.map(Followed::AtRest),
        Some(timeout) => match tokio::time::timeout(timeout, to_rest(client, batch, bars)).await {
            Ok(status) => status.map(Followed::AtRest),
            Err(_) => Ok(Followed::OutOfTime),
        },
    };
    bars.leave();
    followed
}

async fn to_rest(client: &Client, batch: Uuid, bars: &mut Bars) -> Result<Status, Failure> {
    let path = format!("v1/batch/{batch}/status");
    let mut etag: Option<String> = None;
    loop {
        let Some((now, document)) = client.get_changed(&path, etag.as_deref(), WAIT).await? else { continue };
        let status: Status = read(document)?;
        bars.show(&status);
        if status.is_at_rest() {
            return Ok(status);
        }
        etag = now;
    }
}

/// Says that the time was over, and how to go on.
pub(super) fn out_of_time(batch: Uuid, output: &Output) -> Exit {
    output.note(&format!("The time is over; the batch goes on. Next: bos batch watch {batch}"));
    Exit::TimedOut
}
