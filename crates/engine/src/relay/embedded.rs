//! Outbox → embedded bus: the step is one transaction in our own database ([`LocalBroker::move_outbox`]).

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::{CrashPoint, Engine, Error, LocalBroker, metrics};

/// Moves messages until `end`; what is in the outbox then stays for the next start.
pub async fn run(engine: Arc<Engine>, broker: LocalBroker, end: CancellationToken) {
    loop {
        if let Err(error) = drain(&engine, &broker).await {
            tracing::warn!(%error, "messages stay in the outbox for now");
        }
        tokio::select! {
            () = engine.signals.relay.notified() => {}
            () = engine.clock.sleep(engine.settings.relay_period) => {}
            () = end.cancelled() => break,
        }
    }
    // One last turn, so that what the other tasks committed on their way out leaves, and readers' places are kept.
    if let Err(error) = drain(&engine, &broker).await {
        tracing::warn!(%error, "messages stay in the outbox until the next start");
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
