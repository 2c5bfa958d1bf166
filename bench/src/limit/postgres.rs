//! The batch rate: what pgbench commits per second of one class of 30 in a transaction on `PostgreSQL`, durably.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::essays::CLASS;

const CLIENTS: &str = "8";
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
";

const EMPTY: &str = "\
truncate bos_bench.batch, bos_bench.essay, bos_bench.outbox, bos_bench.idempotency;
checkpoint;
";

/// A `PostgreSQL` with pgbench beside it.
pub(crate) struct BatchRate {
    url: String,
    pgbench: PathBuf,
    scripts: TempDir,
}

impl BatchRate {
    /// Makes the tables in a schema of their own.
    pub(crate) fn prepare(url: &str, pgbench: &Path) -> Result<Self> {
        let scripts = tempfile::tempdir().context("making a folder for pgbench's scripts")?;
        let rate = Self { url: url.to_owned(), pgbench: pgbench.to_owned(), scripts };
        for (name, text) in [("tables", TABLES), ("empty", EMPTY), ("class", &class())] {
            fs::write(rate.script(name), text)?;
        }
        rate.run("tables", &["-t", "1"])?;
        Ok(rate)
    }

    /// Classes a second, from 8 connections in so many seconds, in empty tables.
    pub(crate) fn measure(&self, seconds: u64) -> Result<f64> {
        self.run("empty", &["-t", "1"])?;
        let seconds = seconds.to_string();
        let said = self.run("class", &["-c", CLIENTS, "-j", THREADS, "-T", &seconds])?;
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        rate.with_context(|| format!("pgbench said no rate:\n{said}"))
    }

    fn script(&self, name: &str) -> PathBuf {
        self.scripts.path().join(name)
    }

    fn run(&self, script: &str, args: &[&str]) -> Result<String> {
        let mut pgbench = Command::new(&self.pgbench);
        pgbench.args(["-n", "-M", "prepared", "-f"]).arg(self.script(script)).args(args).arg(&self.url);
        let output = pgbench.output().context("running pgbench")?;
        ensure!(output.status.success(), "pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// One transaction: a batch, its essays of about 200 bytes, an outbox row of 1 kB and an idempotency answer.
fn class() -> String {
    let mut script = String::from(
        "begin;\n\
         insert into bos_bench.batch (id, status, owner, payload) \
         values (gen_random_uuid(), 'accepted', 'teacher-1', repeat('b', 120));\n\
         insert into bos_bench.essay (id, batch_id, status, payload) values ",
    );
    for essay in 0..CLASS {
        let comma = if essay == 0 { "" } else { ", " };
        let payload = format!("e{essay:03}").repeat(40);
        let batch = "00000000-0000-0000-0000-000000000001";
        let _ = write!(script, "{comma}(gen_random_uuid(), '{batch}', 'pending', '{payload}')");
    }
    let (value, hash) = ("ab".repeat(1_000), "cd".repeat(32));
    let _ = write!(
        script,
        ";\n\
         insert into bos_bench.outbox (topic, key, value) values ('t', 'k', decode('{value}', 'hex'));\n\
         insert into bos_bench.idempotency (key, hash, response) \
         values (gen_random_uuid(), decode('{hash}', 'hex'), repeat('r', 200));\n\
         commit;\n"
    );
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_one_transaction_of_one_batch_and_its_essays() {
        let script = class();
        assert_eq!(script.matches("gen_random_uuid(), '00000000").count(), usize::from(CLASS));
        assert!(script.starts_with("begin;\n") && script.ends_with("commit;\n"));
    }
}
