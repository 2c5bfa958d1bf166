//! Where things are: the workspace's folder, its cargo.

use std::{env, path::PathBuf, process::Command};

/// The folder that holds the workspace's `Cargo.toml`. Cargo says where it is when it runs this program; a program kept
/// in a target folder that several checkouts share would remember the wrong one.
pub(crate) fn root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(manifest).join("..")
}

/// `cargo <args>` at the workspace's root, by the cargo that runs this program.
pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}
