//! The rate of accepted classes, compared with the same rows written by pgbench.

use anyhow::{Context as _, Result};

use super::{Place, memory, stage::Stage};
use crate::{
    essays,
    limit::postgres::Class,
    load,
    report::{Figure, Target},
};

const ROW: &str = "accept a class";
const LIMIT: &str = "the same rows by pgbench";
/// The part of the limit that must be reached; the rest is for HTTP, JSON, the rules and the background tasks.
const SHARE: f64 = 0.5;

/// Measures `POST /v1/batch` with one class per request, while texts go to the Content Service and messages to Kafka.
pub(super) fn measure(place: &Place<'_>) -> Result<Vec<Figure>> {
    let setting = place.setting;
    let pgbench = setting.pgbench.context("pgbench is needed for the limit")?;
    let request = essays::batch(essays::CLASS, &[]);
    let seconds = setting.load_time().as_secs();
    let (mut figures, mut idle, mut loaded) = (Vec::new(), Vec::new(), Vec::new());
    for clients in [1, 8, 32] {
        let (mut rates, mut limits, mut p99) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..setting.rounds {
            limits.push(pgbench.classes(Class::RowsAndTexts, clients, seconds)?);
            let stage = Stage::new(place)?;
            let _companions = stage.companions(&[])?;
            let replica = stage.replica()?;
            idle.extend(replica.resident_mib());
            let load = load::closed_loop(replica.address, clients, setting.load_time(), &request, 202)?;
            rates.push(load.rate);
            p99.push(load.latency.quantile_ms(0.99));
            if clients == 32 {
                loaded.extend(replica.resident_mib());
            }
        }
        let counted = if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
        let rate = Figure::new(ROW, counted.clone(), "batches/s", rates).beside(LIMIT, limits);
        figures.push(rate.must(Target::TimesLimit(SHARE)));
        figures.push(Figure::new(ROW, format!("{counted}, p99 of the 202"), "ms", p99));
    }
    figures.push(memory("idle", idle));
    figures.push(memory("after 32 clients", loaded));
    Ok(figures)
}
