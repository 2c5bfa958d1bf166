//! Closed-loop load: each client sends its next request when it has the answer to the last.
//!
//! All clients share one thread, since the service needs the cores more than they do.

use std::{
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::{runtime, task::JoinSet, task::LocalSet};

use crate::http::{Connection, Request};

/// The part of the time that is not counted, at the beginning: a fifth.
const WARM_UP: u32 = 5;

/// The longest time that is told from a longer one: ten minutes, in microseconds.
const LONGEST_US: u64 = 600_000_000;

/// What came of a load.
pub(crate) struct Outcome {
    /// Answers a second.
    pub(crate) rate: f64,
    /// How long answers took.
    pub(crate) latency: Latency,
}

/// Times in microseconds, to three digits.
#[derive(Clone)]
pub(crate) struct Latency(Histogram<u64>);

impl Latency {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, LONGEST_US, 3)?))
    }

    pub(crate) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn add(&mut self, other: &Self) -> Result<()> {
        Ok(self.0.add(&other.0)?)
    }

    /// Milliseconds that this share of the answers did not exceed.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        Duration::from_micros(self.0.value_at_quantile(share)).as_secs_f64() * 1_000.0
    }
}

/// Runs one task on a thread of its own making: this one.
pub(crate) fn on_this_thread<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime =
        runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    LocalSet::new().block_on(&runtime, work)
}

/// Sends requests like `request` from `clients` connections for `time`, and counts the answers after the warm-up.
/// Every answer must have the status `expected`.
pub(crate) fn closed_loop(
    address: SocketAddr,
    clients: usize,
    time: Duration,
    request: &Request,
    expected: u16,
) -> Result<Outcome> {
    on_this_thread(async {
        let mut connections = Vec::new();
        for _ in 0..clients {
            connections.push(Connection::open(address).await?);
        }
        let begins = Instant::now() + time / WARM_UP;
        let ends = begins + time;
        let request = Rc::new(request.clone());
        let mut running = JoinSet::new();
        for (client, connection) in connections.into_iter().enumerate() {
            let request = Request::clone(&request);
            running.spawn_local(one_client(connection, client, request, expected, begins, ends));
        }
        let mut latency = Latency::new()?;
        while let Some(ended) = running.join_next().await {
            latency.add(&ended.context("a client panicked")??)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "a run has fewer than 2^52 answers")]
        let rate = latency.0.len() as f64 / time.as_secs_f64();
        Ok(Outcome { rate, latency })
    })
}

async fn one_client(
    mut connection: Connection,
    client: usize,
    mut request: Request,
    expected: u16,
    begins: Instant,
    ends: Instant,
) -> Result<Latency> {
    let mut latency = Latency::new()?;
    for number in 0.. {
        request.renew_key(client, number);
        let sent = Instant::now();
        connection.exchange(&request).await?.expect(expected)?;
        let answered = Instant::now();
        if answered >= ends {
            break;
        }
        if answered >= begins {
            latency.record(answered - sent);
        }
    }
    Ok(latency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_to_three_digits() {
        let mut latency = Latency::new().unwrap();
        for ms in 1..=100 {
            latency.record(Duration::from_millis(ms));
        }
        let mut all = Latency::new().unwrap();
        all.add(&latency).unwrap();
        assert!((all.quantile_ms(0.5) - 50.0).abs() < 0.1, "{}", all.quantile_ms(0.5));
        assert!((all.quantile_ms(0.99) - 99.0).abs() < 0.1, "{}", all.quantile_ms(0.99));
    }
}
