//! The time of a single essay until its record is in Kafka, on an idle service.

use std::time::Instant;

use anyhow::Result;
use contract::Topic;

use super::{Place, bus::Tail, stage::Stage};
use crate::{
    essays,
    http::Connection,
    load::{Latency, on_this_thread},
    report::{Figure, Target},
};

const ROW: &str = "first sight";
/// Essays per round, one after the other.
const TIMES: u64 = 200;
/// Essays before them, which do not count.
const WARM_UP: u64 = 20;

/// Measures `POST /v1/trigger-spellcheck`: the time to the 202, and to the spell checker's request in Kafka.
pub(super) fn measure(place: &Place<'_>) -> Result<Vec<Figure>> {
    let (mut answered, mut p50, mut p99) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..place.setting.rounds {
        let mut stage = Stage::new(place)?;
        let _companions = stage.companions(&[])?;
        let replica = stage.replica()?;
        let tail = Tail::of(&stage.kafka(), Topic::EssaySpellcheckRequested)?;
        let (mut to_answer, mut to_bus) = (Latency::new()?, Latency::new()?);
        for number in 0..TIMES + WARM_UP {
            let mut request = essays::single();
            request.renew_key(0, number);
            let (sent, accepted) = on_this_thread(async {
                let mut connection = Connection::open(replica.address).await?;
                let sent = Instant::now();
                connection.exchange(&request).await?.expect(202)?;
                Ok((sent, sent.elapsed()))
            })?;
            tail.next()?;
            if number >= WARM_UP {
                to_answer.record(accepted);
                to_bus.record(sent.elapsed());
            }
            // Its results are awaited, so that they do not delay the next essay.
            stage.settle()?;
        }
        answered.push(to_answer.quantile_ms(0.5));
        p50.push(to_bus.quantile_ms(0.5));
        p99.push(to_bus.quantile_ms(0.99));
    }
    Ok(vec![
        Figure::new(ROW, "idle, p50 to the 202", "ms", answered),
        Figure::new(ROW, "idle, p50 to the record in Kafka", "ms", p50).must(Target::AtMost(10.0)),
        Figure::new(ROW, "idle, p99 to the record in Kafka", "ms", p99).must(Target::AtMost(50.0)),
    ])
}
