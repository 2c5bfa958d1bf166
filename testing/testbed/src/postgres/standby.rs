//! A standby: a second server that follows the first by streaming replication and can replace it.

use std::{fs, io::Write as _, path::Path};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::{Server, data, launch};
use crate::account;
use crate::{port, process, server};

/// The application name by which the primary knows its synchronous standby.
const NAME: &str = "standby";

/// The file that makes a server a standby; the server removes it when it is promoted.
const SIGNAL: &str = "standby.signal";

/// Stops the primary, copies its data, and starts both servers. Every commit then waits until both have it on disk.
pub(super) fn of(primary: &mut Server) -> Result<Server> {
    primary.process.end(Signal::INT)?;
    let folder = account::folder()?;
    let mut copy = account::command(Path::new("cp"));
    copy.arg("-Rp").arg(data(primary.folder.path())).arg(folder.path());
    let copied = process::run(&mut copy)?;
    ensure!(copied.success(), "copying the data of PostgreSQL failed ({copied})");

    set(primary.folder.path(), &format!("synchronous_standby_names = '{NAME}'"))?;
    fs::write(data(folder.path()).join(SIGNAL), "")?;
    let source = format!("host=127.0.0.1 port={} user=postgres application_name={NAME}", primary.port);
    set(folder.path(), &format!("primary_conninfo = '{source}'"))?;

    primary.process = launch(&primary.binaries, primary.folder.path(), primary.port)?;
    primary.wait_until_ready()?;
    let [port] = port::free()?;
    let process = launch(&primary.binaries, folder.path(), port)?;
    let mut standby = Server { process, port, binaries: primary.binaries.clone(), folder };
    standby.wait_until_ready()?;
    Ok(standby)
}

/// Promotes the standby, and waits until it accepts writes.
pub(super) fn promote(standby: &Server) -> Result<()> {
    let mut promote = standby.binaries.program("pg_ctl");
    promote.arg("promote").arg("--pgdata").arg(data(standby.folder.path()));
    server::run_first("promoting a standby", &mut promote, &server::log_file(standby.folder.path()))
}

/// Appends a line to the settings of the server in this folder.
fn set(folder: &Path, line: &str) -> Result<()> {
    let file = data(folder).join("postgresql.auto.conf");
    let mut file = fs::File::options().append(true).open(file).context("opening PostgreSQL's settings")?;
    writeln!(file, "{line}").context("writing PostgreSQL's settings")
}
