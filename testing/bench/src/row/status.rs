//! The rate of status requests, compared with a constant answer of the same HTTP stack.

use std::{
    cell::{Cell, RefCell},
    path::Path,
    rc::Rc,
    time::Instant,
};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::{Setting, finish::PHASES, idle::wait_until_ended};
use crate::{
    essays,
    http::{Connection, Request},
    load::{self, Latency, on_this_thread},
    report::{Figure, Target},
    server::{Program, Server},
    visitor::Visitor,
};

const ROW: &str = "status";
const CLIENTS: usize = 8;
const SIZES: [u16; 2] = [30, 2_000];

#[derive(Default)]
struct Rounds {
    hello: Vec<f64>,
    /// Answers per second for an ended batch, by size.
    rest: [Vec<f64>; 2],
    /// Milliseconds while the batch changes, as p50 and p99, by size.
    changing: [(Vec<f64>, Vec<f64>); 2],
    /// Milliseconds of the count query alone, by size.
    count: [Vec<f64>; 2],
}

pub(super) fn measure(setting: &Setting<'_>) -> Result<Vec<Figure>> {
    let mut rounds = Rounds::default();
    for _ in 0..setting.rounds {
        one_round(setting, &mut rounds)?;
    }
    let Rounds { hello, rest: [rest_30, rest_2000], changing, count } = rounds;
    let share = Target::TimesLimit(0.25);
    let at_rest = |what: &str, rates: Vec<f64>| {
        Figure::new(ROW, what, "answers/s", rates)
            .beside("hello of the same stack", hello.clone())
            .must(share)
    };
    // The cost of an answer is the inverse of the rate.
    let cost = |rates: &[f64]| rates.iter().map(|rate| 1_000_000.0 / rate).collect::<Vec<_>>();
    let mut figures = vec![
        at_rest("30 essays, unchanging", rest_30.clone()),
        at_rest("2,000 essays, unchanging", rest_2000.clone()),
        Figure::new(ROW, "cost of 2,000, unchanging", "µs", cost(&rest_2000))
            .beside("cost of 30", cost(&rest_30))
            .must(Target::AtMostTimesLimit(1.5)),
    ];
    for ((size, (p50, p99)), count) in SIZES.into_iter().zip(changing).zip(count) {
        let p50 = Figure::new(ROW, format!("{size} essays, changing, p50"), "ms", p50);
        figures.push(p50.beside("its count query alone", count));
        figures.push(Figure::new(ROW, format!("{size} essays, changing, p99"), "ms", p99));
    }
    Ok(figures)
}

fn one_round(setting: &Setting<'_>, rounds: &mut Rounds) -> Result<()> {
    let folder = setting.fresh("hello")?;
    let hello = Server::start(Program::Hello, &folder)?;
    let outcome =
        load::closed_loop(hello.address, CLIENTS, setting.load_time(), &Request::get("/readyz"), 200)?;
    rounds.hello.push(outcome.rate);
    drop(hello);

    let folder = setting.fresh("status")?;
    let server = Server::start(Program::Instant, &folder)?;
    for (at, size) in SIZES.into_iter().enumerate() {
        let batch = on_this_thread(async {
            let mut connection = Connection::open(server.address).await?;
            hand_in(&mut connection, size, 0).await
        })?;
        let request = Request::get(&format!("/v1/batch/{batch}/status"));
        let outcome = load::closed_loop(server.address, CLIENTS, setting.load_time(), &request, 200)?;
        let changing = on_this_thread(poll_while_changing(&server, size, setting))?;
        if let (Some(rest), Some((p50, p99)), Some(count)) =
            (rounds.rest.get_mut(at), rounds.changing.get_mut(at), rounds.count.get_mut(at))
        {
            rest.push(outcome.rate);
            p50.push(changing.quantile_ms(0.5));
            p99.push(changing.quantile_ms(0.99));
            count.push(count_query_ms(&folder, size)?);
        }
    }
    Ok(())
}

fn count_query_ms(folder: &Path, size: u16) -> Result<f64> {
    Visitor::open(folder)?.count_query_ms(size)
}

/// Submits a batch, waits until it has ended, and returns its id.
async fn hand_in(connection: &mut Connection, essays: u16, number: u64) -> Result<String> {
    let batch = submit(connection, &mut essays::batch(essays, &PHASES), essays, number).await?;
    wait_until_ended(connection, &batch).await?;
    Ok(batch)
}

async fn submit(
    connection: &mut Connection,
    request: &mut Request,
    essays: u16,
    number: u64,
) -> Result<String> {
    request.renew_key(essays.into(), number);
    connection.exchange(request).await?.expect(202)?.field("batch_id")
}

/// Eight clients request the status of the latest batch of a ninth client, which submits the next when it has ended.
async fn poll_while_changing(server: &Server, essays: u16, setting: &Setting<'_>) -> Result<Latency> {
    let newest: Rc<RefCell<Option<Request>>> = Rc::default();
    let over = Rc::new(Cell::new(false));
    let mut pollers = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut connection = Connection::open(server.address).await?;
        let (newest, over) = (Rc::clone(&newest), Rc::clone(&over));
        pollers.spawn_local(async move {
            let mut latency = Latency::new()?;
            while !over.get() {
                let Some(request) = newest.borrow().clone() else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let sent = Instant::now();
                connection.exchange(&request).await?.expect(200)?;
                latency.record(sent.elapsed());
            }
            anyhow::Ok(latency)
        });
    }
    let mut connection = Connection::open(server.address).await?;
    let mut request = essays::batch(essays, &PHASES);
    let begun = Instant::now();
    for number in 1.. {
        let batch = submit(&mut connection, &mut request, essays, number).await?;
        newest.replace(Some(Request::get(&format!("/v1/batch/{batch}/status"))));
        wait_until_ended(&mut connection, &batch).await?;
        if begun.elapsed() > setting.load_time() {
            break;
        }
    }
    over.set(true);
    let mut all = Latency::new()?;
    while let Some(ended) = pollers.join_next().await {
        all.add(&ended.context("a client panicked")??)?;
    }
    Ok(all)
}
