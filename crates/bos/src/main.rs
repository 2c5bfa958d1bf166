//! The `bos` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    bos::cli::main()
}
