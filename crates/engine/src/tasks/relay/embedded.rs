//! Outbox → embedded bus, in one transaction of the database that holds both ([`LocalBroker::move_outbox`]).

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::crash::CrashPoint;
use crate::error::Error;
use crate::metrics;
use crate::ports::LocalBroker;
use crate::road::Engine;

/// Moves messages until `end`. Messages that are in the outbox then stay for the next start.
pub async fn run(engine: Arc<Engine>, broker: LocalBroker, end: CancellationToken) {
    loop {
        if let Err(error) = drain(&engine, &broker).await {
            tracing::warn!(%error, "cannot move messages to the embedded bus; they stay in the outbox; retrying");
        }
        tokio::select! {
            () = engine.signals.relay.notified() => {}
            () = engine.clock.sleep(engine.settings.relay_period) => {}
            () = end.cancelled() => break,
        }
    }
    // One last turn for the messages and the positions that the other tasks committed while they stopped.
    if let Err(error) = drain(&engine, &broker).await {
        tracing::warn!(%error, "cannot move messages to the embedded bus; they stay in the outbox until the next start");
    }
}

async fn drain(engine: &Engine, broker: &LocalBroker) -> Result<(), Error> {
    loop {
        let started = Instant::now();
        engine.crash.at(CrashPoint::BeforePublish)?;
        let moved = broker.move_outbox().await?;
        if moved == 0 {
            return Ok(());
        }
        engine.crash.at(CrashPoint::Published)?;
        metrics::count(metrics::RELAYED, None, moved);
        metrics::turn("relay", started.elapsed());
    }
}
