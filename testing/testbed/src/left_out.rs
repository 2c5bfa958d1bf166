//! Reports of tests that were left out, by the convention of `cargo xtask test`.

use std::{env, fs, io::Write, path::Path};

/// Reports that a test was left out, and what would let it run: on standard error, and in a file called `name` in the folder
/// that `BOS_TEST_LEFT_OUT` names, from which `cargo xtask test` prints its summary.
///
/// # Panics
/// If the report cannot be written.
#[expect(clippy::unwrap_used, reason = "a helper of tests, where a panic is the failure of the test")]
pub fn left_out(name: &str, line: &str) {
    // Not `eprintln!`, which the test harness captures while tests pass.
    std::io::stderr().write_all(format!("left out: {line}\n").as_bytes()).unwrap();
    if let Some(folder) = env::var_os("BOS_TEST_LEFT_OUT") {
        fs::write(Path::new(&folder).join(name), line).unwrap();
    }
}
