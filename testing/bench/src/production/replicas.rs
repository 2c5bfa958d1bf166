//! Several processes of the service on the same cores.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{Place, bus, finish, memory, stage::Stage};
use crate::{
    report::{Figure, Target, median},
    row::finish::batches,
    server::Server,
};

const ROW: &str = "replicas";
/// The part of the rate of one process that several must reach.
const SHARE: f64 = 0.85;
/// The default of `lease_ttl`.
const LEASE: Duration = Duration::from_secs(15);
/// The time after the end of a lease in which a process must take over; chosen.
const GRACE: Duration = Duration::from_secs(2);

pub(super) fn measure(place: &Place<'_>) -> Result<Vec<Figure>> {
    let setting = place.setting;
    let batches = batches(setting);
    let (mut rates, mut twice, mut takeovers, mut resident) =
        ([Vec::new(), Vec::new(), Vec::new()], Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting.rounds {
        for (more, rates) in rates.iter_mut().enumerate() {
            let mut stage = Stage::new(place)?;
            let _companions = stage.companions(&[])?;
            let mut replicas = Vec::new();
            for _ in 0..=more {
                replicas.push(stage.replica()?);
            }
            let addresses: Vec<_> = replicas.iter().map(|replica| replica.address).collect();
            shared_out(&mut stage, replicas.len())?;
            finish::run(&mut stage, &addresses, 3)?;
            rates.push(finish::run(&mut stage, &addresses, batches)?);
            stage.settle()?;
            let again = bus::counted_twice(&stage.kafka())?;
            #[expect(clippy::cast_precision_loss, reason = "a run sends fewer than 2^52 records")]
            twice.push(again as f64);
            if more == 2 {
                resident.extend(replicas.iter().filter_map(Server::resident_mib));
                takeovers.push(takeover(&mut stage, replicas)?);
            }
        }
    }
    let [one, two, three] = rates;
    let row = |what: &str, values| Figure::new(ROW, what, "essays/s", values);
    Ok(vec![
        row("finish with one process", one.clone()),
        row("finish with two", two).beside("one process", one.clone()).must(Target::TimesLimit(SHARE)),
        row("finish with three", three).beside("one process", one).must(Target::TimesLimit(SHARE)),
        Figure::new(
            ROW,
            "records in Kafka once more, worst run",
            "records",
            vec![twice.iter().copied().fold(0.0, f64::max)],
        )
        .must(Target::AtMost(0.0)),
        Figure::new(ROW, "takeover after SIGKILL", "s", takeovers)
            .must(Target::AtMost((LEASE + GRACE).as_secs_f64())),
        memory("each of three processes after that", vec![median(&resident)]),
    ])
}

/// Waits until every process has its share of the shards.
fn shared_out(stage: &mut Stage<'_>, replicas: usize) -> Result<()> {
    let replicas = i64::try_from(replicas)?;
    stage.database.wait_for("SELECT count(DISTINCT owner) FROM leases WHERE owner IS NOT NULL", replicas)?;
    stage.database.wait_for_none("SELECT count(*) FROM leases WHERE owner IS NULL")
}

/// Kills one process, and measures the time until other processes own its shards.
fn takeover(stage: &mut Stage<'_>, mut replicas: Vec<Server>) -> Result<f64> {
    let mut killed = replicas.pop().context("there is a process to kill")?;
    let owner = format!("%-{}-%", killed.id());
    stage.database.run(format!(
        "CREATE VIEW orphans AS SELECT shard FROM leases WHERE owner LIKE '{owner}' OR lease_until < clock_timestamp()"
    ))?;
    anyhow::ensure!(
        stage.database.number::<i64>("SELECT count(*) FROM orphans")? > 0,
        "the killed process owned no shard"
    );
    killed.kill()?;
    let begun = Instant::now();
    stage.database.wait_for_none("SELECT count(*) FROM orphans")?;
    Ok(begun.elapsed().as_secs_f64())
}
