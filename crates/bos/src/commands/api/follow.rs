//! Follows a batch until it is at rest: nothing more happens without a request.

use std::time::Duration;

use domain::BatchStatus;
use uuid::Uuid;

use crate::commands::Exit;
use crate::commands::api::progress::Bars;
use crate::commands::output::Output;
use client::documents::StatusDocument;
use client::{Client, Failure, read};

/// How long one request for the status waits at the server for a change (chosen).
const WAIT: Duration = Duration::from_secs(10);

/// How following ended.
#[derive(Debug)]
pub(crate) enum Followed {
    /// The batch is at rest.
    AtRest(Box<StatusDocument>),
    /// The timeout passed first.
    OutOfTime,
}

/// Shows the batch's progress until it is at rest, at most for `timeout`; without one, for as long as it takes.
///
/// # Errors
/// When a request for the status fails.
pub(crate) async fn follow(
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

async fn to_rest(client: &Client, batch: Uuid, bars: &mut Bars) -> Result<Box<StatusDocument>, Failure> {
    let path = format!("v1/batch/{batch}/status");
    let mut etag: Option<String> = None;
    loop {
        let Some((now, document)) = client.get_changed(&path, etag.as_deref(), WAIT).await? else { continue };
        let status: Box<StatusDocument> = read(document)?;
        bars.show(&status);
        if status.is_at_rest() {
            return Ok(status);
        }
        etag = now;
    }
}

/// Prints that the timeout passed, and the command that continues to wait.
pub(crate) fn out_of_time(batch: Uuid, output: &Output) -> Exit {
    output.note(&format!("Timed out; the batch continues. Next: bos batch watch {batch}"));
    Exit::TimedOut
}

/// The exit code of a command that waited for a batch; `rejected` is the number of essays that were skipped at submission.
pub(crate) fn exit_of(status: &StatusDocument, rejected: usize) -> Exit {
    match status.status {
        BatchStatus::Failed | BatchStatus::Cancelled => Exit::Failed,
        BatchStatus::CompletedWithFailures => Exit::SomeFailed,
        BatchStatus::PendingContent
        | BatchStatus::Ready
        | BatchStatus::Processing
        | BatchStatus::CompletedSuccessfully => {
            if rejected > 0 {
                Exit::SomeFailed
            } else {
                Exit::Ok
            }
        }
    }
}
