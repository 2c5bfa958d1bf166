//! How fast news is applied that waits in Kafka.

use std::time::Instant;

use anyhow::Result;

use super::{Place, finish, memory, stage::Stage};
use crate::{
    essays,
    report::{Figure, Target},
    row::beside,
};

const ROW: &str = "consume";
/// Part of an essay result in the price of a class accepted.
const TIMES_BATCH_RATE: f64 = 3.0;

/// 500 batches of 200 essays, all of whose results are in Kafka before the service starts.
pub(super) fn measure(place: &Place<'_>) -> Result<Vec<Figure>> {
    let setting = place.setting;
    let (batches, of_each) = (setting.size(500_u32, 50), setting.size(200_u16, 200));
    let essays = i64::from(batches) * i64::from(of_each);
    let (mut rates, mut limits, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting.rounds {
        limits.extend(setting.batch_rate()?);
        let mut stage = Stage::new(place)?;
        wait_for_results(&mut stage, batches, of_each)?;

        let replica = stage.replica()?;
        stage.database.wait_for("SELECT count(*) FROM (SELECT FROM essay_phases LIMIT 1) AS one", 1)?;
        let begun = Instant::now();
        stage.database.wait_for("SELECT count(*) FROM batches WHERE ended_at IS NOT NULL", batches.into())?;
        let seconds = begun.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52 essays")]
        rates.push(essays as f64 / seconds);
        resident.extend(replica.resident_mib());
        stage.database.all_succeeded(batches.into())?;
        let applied: i64 =
            stage.database.number("SELECT count(*) FROM essay_phases WHERE state = 'succeeded'")?;
        anyhow::ensure!(applied == essays, "{applied} of {essays} results are in the tables");
    }
    let what = format!("{essays} results of {batches} batches");
    let rate = Figure::new(ROW, what.clone(), "results/s", rates.clone());
    Ok(vec![
        beside(rate, "batch rate, classes/s", limits).must(Target::TimesLimit(TIMES_BATCH_RATE)),
        Figure::new(ROW, format!("{what}, quiet machine"), "results/s", rates).must(Target::AtLeast(5_000.0)),
        memory("after that", resident),
    ])
}

/// First the service stores the texts and sends all commands, while no worker runs; then the workers process them, while
/// the service does not run.
fn wait_for_results(stage: &mut Stage<'_>, batches: u32, of_each: u16) -> Result<()> {
    let content = stage.companions(&["--set", "companions=content,lifecycle"])?;
    let service = stage.replica()?;
    finish::hand_in(&[service.address], &essays::batch(of_each, &["spellcheck"]), batches)?;
    stage.database.wait_for_none(
        "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM staged_texts) \
         + (SELECT count(*) FROM essays WHERE state = 'waiting')",
    )?;
    service.stop()?;
    content.stop()?;
    let neighbours = stage.companions(&[])?;
    stage.wait_for_outcomes(batches.into())?;
    neighbours.stop()
}
