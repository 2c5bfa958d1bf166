//! The workspace's packages and their dependencies.

use std::process::Command;

use cargo_metadata::{Metadata, MetadataCommand};

use crate::sources::root;

/// Cargo's metadata of the workspace and all its dependencies, for this machine's platform.
pub(crate) fn metadata() -> Metadata {
    MetadataCommand::new()
        .current_dir(root())
        .other_options(["--locked".to_owned(), format!("--filter-platform={}", host())])
        .exec()
        .expect("cargo describes the workspace")
}

/// This machine's platform; without it cargo would download crates that only other platforms need.
fn host() -> String {
    let said = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let said = String::from_utf8(said.stdout).expect("rustc writes UTF-8");
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    host.to_owned()
}
