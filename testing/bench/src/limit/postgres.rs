//! What `PostgreSQL` does without the service, as pgbench says: classes a second in transactions of their own, durably, and
//! messages a second from a table to another.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::essays::{self, CLASS};

/// Connections of the batch rate.
const CLIENTS: usize = 8;
const THREADS: &str = "2";

const TABLES: &str = "\
drop schema if exists bos_bench cascade;
create schema bos_bench;
create table bos_bench.batch (id uuid primary key, status text not null, owner text,
  created_at timestamptz default now(), payload text);
create table bos_bench.essay (id uuid primary key, batch_id uuid not null, status text not null, payload text not null);
create index on bos_bench.essay (batch_id);
create table bos_bench.outbox (id bigserial primary key, topic text, key bytea, value bytea,
  created_at timestamptz default now());
create table bos_bench.idempotency (key uuid primary key, hash bytea, response text, created_at timestamptz default now());
create table bos_bench.staged (id uuid primary key, batch_id uuid, text text not null);
alter table bos_bench.staged alter column text set storage external;
";

const EMPTY: &str = "\
truncate bos_bench.batch, bos_bench.essay, bos_bench.outbox, bos_bench.idempotency, bos_bench.staged;
checkpoint;
";

/// What is written per class.
#[derive(Clone, Copy)]
pub(crate) enum Class {
    /// A batch, its essays, an outbox row and an idempotency answer: the batch rate.
    Rows,
    /// These and the texts: what an accepted batch writes.
    RowsAndTexts,
}

/// A `PostgreSQL` with pgbench beside it.
pub(crate) struct Pgbench {
    url: String,
    program: PathBuf,
    scripts: TempDir,
}

impl Pgbench {
    /// Makes the tables in a schema of their own.
    pub(crate) fn prepare(url: &str, program: &Path) -> Result<Self> {
        let scripts = tempfile::tempdir().context("making a folder for pgbench's scripts")?;
        let pgbench = Self { url: url.to_owned(), program: program.to_owned(), scripts };
        for (name, text) in [
            ("tables", TABLES),
            ("empty", EMPTY),
            (Class::Rows.script(), &class(Class::Rows)),
            (Class::RowsAndTexts.script(), &class(Class::RowsAndTexts)),
        ] {
            fs::write(pgbench.script(name), text)?;
        }
        pgbench.run(url, "tables", &["-t", "1"])?;
        Ok(pgbench)
    }

    /// The batch rate: classes a second, from 8 connections for `seconds` seconds, in empty tables.
    pub(crate) fn batch_rate(&self, seconds: u64) -> Result<f64> {
        self.classes(Class::Rows, CLIENTS, seconds)
    }

    /// Classes a second from `clients` connections, in empty tables.
    pub(crate) fn classes(&self, class: Class, clients: usize, seconds: u64) -> Result<f64> {
        self.run(&self.url, "empty", &["-t", "1"])?;
        let (clients, seconds) = (clients.to_string(), seconds.to_string());
        let threads = if clients == "1" { "1" } else { THREADS };
        let args = ["-c", &clients, "-j", threads, "-T", &seconds];
        transactions_a_second(&self.run(&self.url, class.script(), &args)?)
    }

    /// Runs a script `times` times over one connection, on another database of the server, and returns the transactions a
    /// second. Its variable `n` begins at 0.
    pub(crate) fn repeated(&self, url: &str, script: &str, times: u32) -> Result<f64> {
        fs::write(self.script("own"), script)?;
        transactions_a_second(&self.run(url, "own", &["-c", "1", "-D", "n=0", "-t", &times.to_string()])?)
    }

    fn script(&self, name: &str) -> PathBuf {
        self.scripts.path().join(name)
    }

    fn run(&self, url: &str, script: &str, args: &[&str]) -> Result<String> {
        let mut pgbench = Command::new(&self.program);
        pgbench.args(["-n", "-M", "prepared", "-f"]).arg(self.script(script)).args(args).arg(url);
        let output = pgbench.output().context("running pgbench")?;
        ensure!(output.status.success(), "pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Class {
    const fn script(self) -> &'static str {
        match self {
            Self::Rows => "class",
            Self::RowsAndTexts => "class-and-texts",
        }
    }
}

fn transactions_a_second(said: &str) -> Result<f64> {
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    rate.with_context(|| format!("pgbench said no rate:\n{said}"))
}

/// One transaction: a batch, its essays of about 200 bytes, an outbox row of 1 kB and an idempotency answer, and the texts
/// if they are wanted.
fn class(class: Class) -> String {
    const BATCH: &str = "00000000-0000-0000-0000-000000000001";
    let mut script = String::from(
        "begin;\n\
         insert into bos_bench.batch (id, status, owner, payload) \
         values (gen_random_uuid(), 'accepted', 'teacher-1', repeat('b', 120));\n\
         insert into bos_bench.essay (id, batch_id, status, payload) values ",
    );
    for essay in 0..CLASS {
        let comma = if essay == 0 { "" } else { ", " };
        let payload = format!("e{essay:03}").repeat(40);
        let _ = write!(script, "{comma}(gen_random_uuid(), '{BATCH}', 'pending', '{payload}')");
    }
    let (value, hash) = ("ab".repeat(1_000), "cd".repeat(32));
    let _ = write!(
        script,
        ";\n\
         insert into bos_bench.outbox (topic, key, value) values ('t', 'k', decode('{value}', 'hex'));\n\
         insert into bos_bench.idempotency (key, hash, response) \
         values (gen_random_uuid(), decode('{hash}', 'hex'), repeat('r', 200));\n"
    );
    if let Class::RowsAndTexts = class {
        script.push_str("insert into bos_bench.staged (id, batch_id, text) values ");
        for essay in 0..CLASS {
            let comma = if essay == 0 { "" } else { ", " };
            let text = essays::text(essay.into());
            let _ = write!(script, "{comma}(gen_random_uuid(), '{BATCH}', '{text}')");
        }
        script.push_str(";\n");
    }
    script.push_str("commit;\n");
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_one_transaction_of_one_batch_and_its_essays() {
        let script = class(Class::Rows);
        assert_eq!(script.matches("gen_random_uuid(), '00000000").count(), usize::from(CLASS));
        assert!(script.starts_with("begin;\n") && script.ends_with("commit;\n"));
    }

    #[test]
    fn with_its_texts_a_class_writes_as_many_rows_again() {
        let script = class(Class::RowsAndTexts);
        assert_eq!(script.matches("gen_random_uuid(), '00000000").count(), 2 * usize::from(CLASS));
        assert!(script.ends_with(";\ncommit;\n"));
        assert!(script.len() > usize::from(CLASS) * essays::TEXT_BYTES);
    }

    #[test]
    fn the_rate_is_read_from_what_pgbench_says() {
        let said = "latency average = 4.1 ms\ntps = 1951.219512 (without initial connection time)\n";
        assert!((transactions_a_second(said).unwrap() - 1_951.219_512).abs() < 1e-6);
        assert!(transactions_a_second("nothing").is_err());
    }
}
