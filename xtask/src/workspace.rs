//! The workspace's folder and its cargo.

use std::{env, path::PathBuf, process::Command};

/// The folder with the workspace's `Cargo.toml`. Read from the variable that cargo sets when it runs this program: a target
/// folder may be shared by several checkouts, so the path at compile time may be another checkout's.
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
