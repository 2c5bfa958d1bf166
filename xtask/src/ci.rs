//! `cargo xtask ci`: everything that a change must pass, the cheap checks first, up to the first that fails.

use std::time::Instant;

use anyhow::Result;
use testbed::process;

use crate::{chaos, simulate, test, workspace};

/// The checks before the tests: the variables they set, and their arguments for cargo.
const CHECKS: [(&[(&str, &str)], &str); 4] = [
    (&[], "fmt --all --check"),
    (&[], "clippy --workspace --all-targets --locked -- -D warnings"),
    // Not the default features, but what a machine without a C++ compiler builds.
    (&[], "clippy -p bos --no-default-features --locked -- -D warnings"),
    (&[("RUSTDOCFLAGS", "-D warnings")], "doc --workspace --no-deps --locked"),
];

/// Runs the steps up to the first that fails, and returns its exit code.
pub(crate) fn run() -> Result<u8> {
    let mut report = Report { begun: Instant::now(), passed: Vec::new() };
    for (variables, words) in CHECKS {
        let mut check = workspace::cargo(words.split(' '));
        check.envs(variables.iter().copied());
        let name = process::command_line(&check);
        let code = report.step(&name, || Ok(process::exit_code(process::run(&mut check)?)))?;
        if code != 0 {
            return Ok(code);
        }
    }
    let code = report.step("cargo xtask test", || test::run(&test::Args::default()))?;
    if code != 0 {
        return Ok(code);
    }
    let code =
        report.step("cargo xtask simulate, a short run", || simulate::run(&simulate::Args::short()))?;
    if code != 0 {
        return Ok(code);
    }
    for (name, embedded) in [("cargo xtask chaos --embedded", true), ("cargo xtask chaos", false)] {
        let code =
            report.step(&format!("{name}, a short run"), || chaos::run(&chaos::Args::short(embedded)))?;
        if code != 0 {
            return Ok(code);
        }
    }
    report.close();
    Ok(0)
}

struct Report {
    begun: Instant,
    passed: Vec<(String, f64)>,
}

impl Report {
    fn step(&mut self, name: &str, step: impl FnOnce() -> Result<u8>) -> Result<u8> {
        eprintln!("\n==> {name}");
        let begun = Instant::now();
        let code = step()?;
        let seconds = begun.elapsed().as_secs_f64();
        if code == 0 {
            eprintln!("==> passed in {seconds:.1} s");
            self.passed.push((name.to_owned(), seconds));
        } else {
            eprintln!("\n==> ci stops here, after {seconds:.1} s, with exit code {code}: {name}");
        }
        Ok(code)
    }

    fn close(&self) {
        eprintln!("\n==> ci passed in {:.1} s", self.begun.elapsed().as_secs_f64());
        for (name, seconds) in &self.passed {
            eprintln!("{seconds:8.1} s  {name}");
        }
    }
}
