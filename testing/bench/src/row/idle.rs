//! The time of single essays on an idle service.

use std::time::Instant;

use anyhow::Result;

use super::{Setting, finish::PHASES};
use crate::{
    essays,
    http::{Connection, Request},
    load::{Latency, on_this_thread},
    report::{Figure, Target},
    server::{Program, Server},
    visitor::Visitor,
};

/// Essays per round, one after the other.
const TIMES: u64 = 200;
/// Essays before them, which do not count.
const WARM_UP: u64 = 10;

/// Measures `POST /v1/trigger-spellcheck`: the time to the 202, and to the spell checker's request on the bus.
pub(super) fn essay_to_bus(setting: &Setting<'_>) -> Result<Vec<Figure>> {
    const ROW: &str = "accept one essay";
    const TOPIC: &str = "huleedu.essay.spellcheck.requested.v1";
    let (mut answered, mut on_bus) = (Rounds::default(), Rounds::default());
    for _ in 0..setting.rounds {
        let folder = setting.fresh("idle")?;
        let server = Server::start(Program::Instant, &folder)?;
        let visitor = Visitor::open(&folder)?;
        let (mut to_answer, mut to_bus) = (Latency::new()?, Latency::new()?);
        on_this_thread(async {
            let mut connection = Connection::open(server.address).await?;
            let mut request = essays::single();
            for number in 0..TIMES + WARM_UP {
                request.renew_key(0, number);
                let end = visitor.log_end()?;
                let sent = Instant::now();
                connection.exchange(&request).await?.expect(202)?;
                let accepted = sent.elapsed();
                visitor.wait_for_record(TOPIC, end)?;
                if number >= WARM_UP {
                    to_answer.record(accepted);
                    to_bus.record(sent.elapsed());
                }
            }
            Ok(())
        })?;
        answered.take(&to_answer);
        on_bus.take(&to_bus);
    }
    Ok(vec![
        Figure::new(ROW, "idle, p50 to the 202", "ms", answered.p50).must(Target::AtMost(3.0)),
        Figure::new(ROW, "idle, p50 to the record on the bus", "ms", on_bus.p50).must(Target::AtMost(10.0)),
        Figure::new(ROW, "idle, p99 to the record on the bus", "ms", on_bus.p99).must(Target::AtMost(50.0)),
    ])
}

/// Measures a batch of one essay through both phases: from the request to the status that it has ended.
pub(super) fn two_phases(setting: &Setting<'_>) -> Result<Vec<Figure>> {
    const ROW: &str = "one essay, two phases";
    let mut rounds = Rounds::default();
    for _ in 0..setting.rounds {
        let folder = setting.fresh("idle")?;
        let server = Server::start(Program::Instant, &folder)?;
        let mut latency = Latency::new()?;
        on_this_thread(async {
            let mut connection = Connection::open(server.address).await?;
            let mut request = essays::batch(1, &PHASES);
            for number in 0..TIMES + WARM_UP {
                request.renew_key(0, number);
                let sent = Instant::now();
                let batch = connection.exchange(&request).await?.expect(202)?.field("batch_id")?;
                wait_until_ended(&mut connection, &batch).await?;
                if number >= WARM_UP {
                    latency.record(sent.elapsed());
                }
            }
            Ok(())
        })?;
        rounds.take(&latency);
    }
    Ok(vec![
        Figure::new(ROW, "idle, p50 to the end", "ms", rounds.p50).must(Target::AtMost(20.0)),
        Figure::new(ROW, "idle, p99 to the end", "ms", rounds.p99).must(Target::AtMost(50.0)),
    ])
}

/// Waits with `?wait=`, as clients do, until a batch has ended.
pub(crate) async fn wait_until_ended(connection: &mut Connection, batch: &str) -> Result<()> {
    let path = format!("/v1/batch/{batch}/status?wait=20s");
    let mut etag = "\"1\"".to_owned();
    loop {
        let answer = connection.exchange(&Request::get_unless(&path, &etag)).await?;
        if answer.status == 304 {
            continue;
        }
        let answer = answer.expect(200)?;
        if answer.field("ended_at")? != "null" {
            return Ok(());
        }
        etag = answer.etag.unwrap_or(etag);
    }
}

#[derive(Default)]
struct Rounds {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Rounds {
    fn take(&mut self, latency: &Latency) {
        self.p50.push(latency.quantile_ms(0.5));
        self.p99.push(latency.quantile_ms(0.99));
    }
}
