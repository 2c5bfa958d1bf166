//! Reads the output of `cargo test`: how many tests passed, which failed, which were ignored, which programs did not finish.
//!
//! A program that is killed, aborts or exits by itself prints no `test result:` line. It counts as one failed test, also
//! where it exits with 0, which cargo takes for success.

use std::fmt;

/// What `cargo test` has reported so far.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    passed: u64,
    /// Names of tests with the words for cargo that run their program again, and programs that did not finish.
    failed: Vec<String>,
    left_out: Vec<String>,
    program: Option<Program>,
}

/// The test program that runs.
#[derive(Debug, Default)]
struct Program {
    /// What cargo says that it runs.
    name: String,
    /// The words for cargo that run this program again; printed only for a program that failed.
    rerun: Option<String>,
    /// How the process ended, if not as a test program does.
    cause: Option<String>,
    /// How many tests were announced and have no result yet.
    announced: Option<u64>,
    results: u32,
    failed: Vec<String>,
    /// Between the first `failures:` and the result stands what the tests have printed, then their names.
    is_listing_failures: bool,
    listed: Vec<String>,
}

/// A `test result:` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
    measured: u64,
}

impl Summary {
    /// Reads one line of what cargo, rustdoc and the test programs print, standard output and standard error together.
    pub(crate) fn read_line(&mut self, line: &str) {
        let line = without_colors(line);
        let line = line.trim_end();
        if let Some(name) = started(line) {
            self.end_program();
            self.program = Some(Program { name: name.to_owned(), ..Program::default() });
            return;
        }
        let Some(program) = &mut self.program else { return };
        if let Some(words) = rerun(line) {
            program.rerun = Some(words.to_owned());
        } else if let (Some(_), Some(cause)) = (&program.rerun, cause(line)) {
            program.cause = Some(cause.to_owned());
        } else if let Some(ignored) = ignored(line) {
            self.left_out.push(ignored);
        } else if let Some(counts) = counts(line) {
            if program.announced == Some(counts.total()) {
                self.passed += counts.passed;
                program.take_result(counts);
            }
        } else {
            program.read_line(line);
        }
    }

    /// Adds what tests have left out by themselves.
    pub(crate) fn leave_out(&mut self, lines: Vec<String>) {
        self.left_out.extend(lines);
    }

    /// Adds a failure that is not a test's.
    pub(crate) fn fail(&mut self, what: String) {
        self.failed.push(what);
    }

    /// Cargo has ended with this exit code. Gives the exit code of the task: cargo's, or 1 if only cargo takes the run for a
    /// success.
    pub(crate) fn end(&mut self, cargo: u8) -> u8 {
        self.end_program();
        if cargo != 0 && self.failed.is_empty() {
            self.fail(format!("cargo ended with exit code {cargo}, see above"));
        }
        if cargo == 0 && !self.failed.is_empty() { 1 } else { cargo }
    }

    fn end_program(&mut self) {
        let Some(program) = self.program.take() else { return };
        let has_finished = program.results > 0
            && program.announced.is_none()
            && program.cause.is_none()
            && (program.rerun.is_none() || !program.failed.is_empty());
        let name = program.rerun.unwrap_or(program.name);
        self.failed.extend(program.failed.into_iter().map(|test| format!("{test} ({name})")));
        if !has_finished {
            let cause = program.cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            self.failed.push(format!("{name} did not finish{cause}"));
        }
    }
}

impl Program {
    fn read_line(&mut self, line: &str) {
        if line == "failures:" {
            self.is_listing_failures = true;
            self.listed.clear();
        } else if self.is_listing_failures {
            let name = line.strip_prefix("    ").filter(|name| !name.starts_with(' '));
            self.listed.extend(name.map(str::to_owned));
        } else if let Some(number) = announced(line) {
            self.announced = Some(number);
        }
    }

    fn take_result(&mut self, counts: Counts) {
        self.results += 1;
        self.announced = None;
        self.is_listing_failures = false;
        let mut listed = self.listed.drain(..);
        let name = || listed.next().unwrap_or_else(|| "a test whose name is not listed".to_owned());
        self.failed.extend(std::iter::repeat_with(name).take(usize::try_from(counts.failed).unwrap_or(1)));
    }
}

impl Counts {
    fn total(self) -> u64 {
        self.passed + self.failed + self.ignored + self.measured
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for what in &self.failed {
            writeln!(f, "failed:   {what}")?;
        }
        for what in &self.left_out {
            writeln!(f, "left out: {what}")?;
        }
        let (failed, left_out) = (self.failed.len(), self.left_out.len());
        write!(f, "{} passed, {failed} failed, {left_out} left out", self.passed)
    }
}

/// The program that cargo says it starts. What a program has printed without an end of line may stand before it.
fn started(line: &str) -> Option<&str> {
    let program = line.rsplit_once("     Running ").map(|(_, program)| program);
    let program = program.filter(|program| program.contains("/deps/") && program.ends_with(')'));
    program.or_else(|| line.get(line.find("   Doc-tests ")?..).map(str::trim_start))
}

/// The words for cargo that run a failed program again.
fn rerun(line: &str) -> Option<&str> {
    let (before, words) = line.rsplit_once("test failed, to rerun pass `")?;
    if before.ends_with("error: ") || before.ends_with("error: doc") { words.strip_suffix('`') } else { None }
}

fn cause(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("  process didn't exit successfully: ")?;
    Some(rest.rsplit_once(" (")?.1.trim_end_matches(')'))
}

fn announced(line: &str) -> Option<u64> {
    let number = line.strip_prefix("running ")?;
    number.strip_suffix(" tests").or_else(|| number.strip_suffix(" test"))?.parse().ok()
}

fn ignored(line: &str) -> Option<String> {
    let (name, reason) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    Some(format!("{name}{}", if reason.is_empty() { ", ignored without a reason" } else { reason }))
}

fn counts(line: &str) -> Option<Counts> {
    let rest =
        line.strip_prefix("test result: ok. ").or_else(|| line.strip_prefix("test result: FAILED. "))?;
    let mut parts = rest.split("; ");
    let mut number = |what: &str| parts.next()?.strip_suffix(what)?.trim_end().parse().ok();
    Some(Counts {
        passed: number("passed")?,
        failed: number("failed")?,
        ignored: number("ignored")?,
        measured: number("measured")?,
    })
}

/// The line without the escape sequences that set colors.
fn without_colors(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |end| end + 1);
        text.push_str(part.get(end..).unwrap_or_default());
    }
    text
}

#[cfg(test)]
mod tests;
