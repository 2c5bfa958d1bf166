//! How many essays a second go all the way: accepted, stored, registered, spellchecked, measured, ended.

use std::{
    cell::Cell,
    fs,
    net::SocketAddr,
    path::Path,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use anyhow::{Context, Result};
use rusqlite::Connection as Database;
use tokio::task::JoinSet;

use super::{Setting, beside};
use crate::{
    essays,
    http::{Connection, Request},
    load::on_this_thread,
    report::{Figure, Target},
    server::{Program, Server},
    visitor::Visitor,
};

const ROW: &str = "finish";
pub(crate) const PHASES: [&str; 2] = ["spellcheck", "nlp"];
const CLIENTS: usize = 8;
/// Runs so far in this process.
static RUNS: AtomicUsize = AtomicUsize::new(0);

/// Batches of one measurement.
pub(crate) fn batches(setting: &Setting<'_>) -> u32 {
    setting.size(200, 40)
}

/// 200 batches, each round in a new file beside the batch rate of the same minute; then what they leave.
pub(super) fn measure(setting: &Setting<'_>) -> Result<Vec<Figure>> {
    let batches = batches(setting);
    let (mut rates, mut limits, mut growth, mut kept) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting.rounds {
        limits.extend(setting.batch_rate()?);
        let folder = setting.fresh("finish")?;
        let server = Server::start(Program::Instant, &folder)?;
        let before = server.resident_mib();
        rates.push(run(server.address, &folder, batches)?);
        growth.extend(server.resident_mib().zip(before).map(|(after, before)| after - before));
        server.stop()?;
        kept.push(bytes_per_essay(&folder)?);
    }
    let what = format!("{batches} batches × {} essays × spellcheck + nlp", essays::CLASS);
    let rate = Figure::new(ROW, what, "essays/s", rates);
    let rate = beside(rate, "batch rate, PostgreSQL, classes/s", limits).must(Target::TimesLimit(1.5));
    let memory = Figure::new("memory", "growth while finishing", "MiB", growth).must(Target::AtMost(150.0));
    let mut figures = vec![rate, memory];
    let per_table = |pick: fn(&Kept) -> f64| kept.iter().map(pick).collect::<Vec<_>>();
    let disk =
        Figure::new("disk", "bos.db per finished essay, its log pruned", "B", per_table(|kept| kept.service));
    figures.push(disk.must(Target::AtMost(4_000.0)));
    figures.push(Figure::new("disk", "the log until it is pruned", "B", per_table(|kept| kept.log)));
    figures.push(Figure::new(
        "disk",
        "companions.db without the texts",
        "B",
        per_table(|kept| kept.companions),
    ));
    Ok(figures)
}

/// Hands the batches in and waits until the last has ended: essays a second over all of that.
pub(super) fn run(address: SocketAddr, folder: &Path, batches: u32) -> Result<f64> {
    let visitor = Visitor::open(folder)?;
    let last_end = visitor.last_end()?;
    let request = essays::batch(essays::CLASS, &PHASES);
    let begun = Instant::now();
    on_this_thread(hand_in(&[address], &request, batches))?;
    visitor.wait_for_ends(&last_end, batches)?;
    Ok(f64::from(batches) * f64::from(essays::CLASS) / begun.elapsed().as_secs_f64())
}

/// Submits this number of batches, from a few clients at once, which take these addresses in turn.
pub(crate) async fn hand_in(addresses: &[SocketAddr], request: &Request, batches: u32) -> Result<()> {
    // A key is another one in every run: the same file, even the same process, may see several.
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let next = Rc::new(Cell::new(0));
    let mut clients = JoinSet::new();
    for address in addresses.iter().cycle().take(CLIENTS.next_multiple_of(addresses.len())) {
        let mut connection = Connection::open(*address).await?;
        let (next, mut request) = (Rc::clone(&next), request.clone());
        clients.spawn_local(async move {
            while next.get() < batches {
                let number = next.replace(next.get() + 1);
                request.renew_key(run, number.into());
                connection.exchange(&request).await?.expect(202)?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.context("a client panicked")??;
    }
    Ok(())
}

/// Bytes on disk per finished essay.
struct Kept {
    service: f64,
    log: f64,
    companions: f64,
}

/// Counted in compact copies of the files of a stopped service, so that free pages do not count.
fn bytes_per_essay(folder: &Path) -> Result<Kept> {
    let service = compact(folder, "bos")?;
    let essays = number(&service, "SELECT count(*) FROM essays WHERE state = 'succeeded'")?;
    let whole = pages(&service)?;
    service.execute_batch("DELETE FROM local_log; VACUUM")?;
    let pruned = pages(&service)?;
    let companions = compact(folder, "companions")?;
    let texts = number(&companions, "SELECT sum(pgsize) FROM dbstat WHERE name = 'contents'")?;
    let companions = pages(&companions)? - texts;
    Ok(Kept { service: pruned / essays, log: (whole - pruned) / essays, companions: companions / essays })
}

fn compact(folder: &Path, name: &str) -> Result<Database> {
    let copy = folder.join(format!("{name}-compact.db"));
    let _ = fs::remove_file(&copy);
    let original = Database::open(folder.join(format!("{name}.db")))?;
    original.execute("VACUUM INTO ?1", [copy.to_str().context("a folder's name is not UTF-8")?])?;
    Ok(Database::open(copy)?)
}

fn pages(database: &Database) -> Result<f64> {
    number(database, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
}

fn number(database: &Database, query: &str) -> Result<f64> {
    Ok(database.query_row(query, [], |row| row.get::<_, f64>(0))?)
}
