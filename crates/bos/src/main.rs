//! The `bos` program: the command line for the API, the database and the service itself.

mod commands;

use std::process::ExitCode;

/// One allocator for Rust and for SQLite's C code. glibc's allocator returns memory and requests it again page by page, each
/// time under the lock of the whole address space. See docs/decisions/0007-one-allocator-and-stable-plans.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::main()
}
