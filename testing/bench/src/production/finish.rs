//! The rate of essays through both phases, Kafka and the companions, and the time of a single essay.

use std::{net::SocketAddr, time::Instant};

use anyhow::Result;

use super::{Place, memory, stage::Stage};
use crate::{
    essays,
    http::{Connection, Request},
    load::{Latency, on_this_thread},
    report::{Figure, Target},
    row::{beside, finish, idle},
};

const ROW: &str = "finish";
/// Counted essays per round, one after the other.
const TIMES: u64 = 100;
/// Essays before them, which do not count.
const WARM_UP: u64 = 10;

/// Measures 200 batches, with the batch rate of the same minute as the limit, and then single essays.
pub(super) fn measure(place: &Place<'_>) -> Result<Vec<Figure>> {
    let setting = place.setting;
    let batches = finish::batches(setting);
    let (mut rates, mut limits, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..setting.rounds {
        limits.extend(setting.batch_rate()?);
        let mut stage = Stage::new(place)?;
        let _companions = stage.companions(&[])?;
        let replica = stage.replica()?;
        // One batch first, so that statements and connections are prepared.
        run(&mut stage, &[replica.address], 1)?;
        rates.push(run(&mut stage, &[replica.address], batches)?);
        resident.extend(replica.resident_mib());
        stage.settle()?;
        let latency = alone(replica.address)?;
        p50.push(latency.quantile_ms(0.5));
        p99.push(latency.quantile_ms(0.99));
    }
    let what = format!("{batches} batches × {} essays × spellcheck + nlp", essays::CLASS);
    let rate = Figure::new(ROW, what, "essays/s", rates);
    Ok(vec![
        beside(rate, "batch rate, classes/s", limits).must(Target::TimesLimit(0.8)),
        memory("after that", resident),
        Figure::new(ROW, "one essay, two phases, idle, p50", "ms", p50).must(Target::AtMost(80.0)),
        Figure::new(ROW, "one essay, two phases, idle, p99", "ms", p99),
    ])
}

/// Submits batches to these processes in turn, waits until the last has ended, and returns the essays per second of all of this.
pub(super) fn run(stage: &mut Stage<'_>, addresses: &[SocketAddr], batches: u32) -> Result<f64> {
    const ENDED: &str = "SELECT count(*) FROM batches WHERE ended_at IS NOT NULL";
    let until = stage.database.number::<i64>(ENDED)? + i64::from(batches);
    let request = essays::batch(essays::CLASS, &finish::PHASES);
    let begun = Instant::now();
    hand_in(addresses, &request, batches)?;
    stage.database.wait_for(ENDED, until)?;
    let rate = f64::from(batches) * f64::from(essays::CLASS) / begun.elapsed().as_secs_f64();
    stage.database.all_succeeded(until)?;
    Ok(rate)
}

pub(super) fn hand_in(addresses: &[SocketAddr], request: &Request, batches: u32) -> Result<()> {
    on_this_thread(finish::hand_in(addresses, request, batches))
}

/// Measures batches of one essay through both phases, one after the other.
fn alone(address: SocketAddr) -> Result<Latency> {
    let mut latency = Latency::new()?;
    on_this_thread(async {
        let mut connection = Connection::open(address).await?;
        let mut request = essays::batch(1, &finish::PHASES);
        for number in 0..TIMES + WARM_UP {
            request.renew_key(usize::MAX >> 32, number);
            let sent = Instant::now();
            let batch = connection.exchange(&request).await?.expect(202)?.field("batch_id")?;
            idle::wait_until_ended(&mut connection, &batch).await?;
            if number >= WARM_UP {
                latency.record(sent.elapsed());
            }
        }
        Ok(())
    })?;
    Ok(latency)
}
