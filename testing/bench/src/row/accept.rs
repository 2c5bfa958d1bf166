//! The rate of accepted batches, compared with the same rows written by a bare loop.

use anyhow::Result;

use super::Setting;
use crate::{
    essays,
    http::Request,
    limit::sqlite::{self, Unit},
    load::{self, Outcome},
    report::{Figure, Target},
    server::{Program, Server},
};

const LIMIT: &str = "the same rows by a bare loop";

/// The part of the limit that must be reached; the rest is for HTTP, JSON, the rules and the background tasks.
const SHARE: f64 = 0.5;

/// Measures `POST /v1/batch` with one class per request.
pub(super) fn classes(setting: &Setting<'_>) -> Result<Vec<Figure>> {
    const ROW: &str = "accept a class";
    // The length of the service's answer, which lists every essay.
    let unit = Unit { essays: essays::CLASS, answer_bytes: 2_900 };
    let request = essays::batch(essays::CLASS, &[]);
    let mut figures = Vec::new();
    for clients in [1, 8, 32] {
        let rounds = rounds(setting, &request, unit, clients)?;
        let rate = Figure::new(ROW, counted(clients), "batches/s", rounds.rates).beside(LIMIT, rounds.limits);
        if clients < 32 {
            figures.push(rate);
        } else {
            figures.push(rate.must(Target::TimesLimit(SHARE)));
            let slowest = Figure::new(ROW, format!("{}, p99 of the 202", counted(clients)), "ms", rounds.p99);
            figures.push(slowest.must(Target::AtMost(250.0)));
        }
    }
    Ok(figures)
}

/// Measures `POST /v1/trigger-spellcheck`.
pub(super) fn essays(setting: &Setting<'_>) -> Result<Vec<Figure>> {
    const ROW: &str = "accept one essay";
    let unit = Unit { essays: 1, answer_bytes: 180 };
    let rounds = rounds(setting, &essays::single(), unit, 32)?;
    let rate = Figure::new(ROW, counted(32), "essays/s", rounds.rates).beside(LIMIT, rounds.limits);
    Ok(vec![
        rate.must(Target::TimesLimit(SHARE)),
        Figure::new(ROW, format!("{}, p99 of the 202", counted(32)), "ms", rounds.p99),
    ])
}

fn counted(clients: usize) -> String {
    if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") }
}

#[derive(Default)]
struct Rounds {
    rates: Vec<f64>,
    limits: Vec<f64>,
    p99: Vec<f64>,
}

/// Measures the limit and the service in turn, each in a new file.
fn rounds(setting: &Setting<'_>, request: &Request, unit: Unit, clients: usize) -> Result<Rounds> {
    let mut rounds = Rounds::default();
    for _ in 0..setting.rounds {
        let folder = setting.fresh("accept")?;
        rounds.limits.push(sqlite::measure(&folder, unit, clients, setting.load_time())?);
        let server = Server::start(Program::Instant, &folder)?;
        let Outcome { rate, latency } =
            load::closed_loop(server.address, clients, setting.load_time(), request, 202)?;
        rounds.rates.push(rate);
        rounds.p99.push(latency.quantile_ms(0.99));
    }
    Ok(rounds)
}
