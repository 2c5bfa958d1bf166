//! The account that runs the server, and a data folder that this account can use.
//!
//! `PostgreSQL` refuses to run as root. If root runs the tests, as in most containers, the server runs as [`UNPRIVILEGED`].
//! Its data folder must belong to that account, and every folder above it must be searchable by others.

use std::{
    env,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use rustix::process::geteuid;
use tempfile::TempDir;

use crate::target_folder;

/// The user and group id of the account without rights (user 65534), the same on Linux distributions.
pub(crate) const UNPRIVILEGED: u32 = 65_534;

/// A command that runs as the server's account, in a folder that it can read. The standard library also drops root's
/// supplementary groups.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if geteuid().is_root() {
        command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
    command
}

/// Makes a temporary folder that belongs to the server's account: under the target folder, or in the system's folder for temporary
/// files if the account cannot reach the target folder, for example in root's home.
pub(super) fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("postgres-")
        .tempdir_in(reachable_target()?.unwrap_or_else(env::temp_dir))
        .context("making a folder for PostgreSQL's data")?;
    if geteuid().is_root() {
        chown(folder.path(), Some(UNPRIVILEGED), Some(UNPRIVILEGED))
            .context("changing the owner of the data folder to user 65534")?;
    }
    Ok(folder)
}

/// The target folder; `None` if the server's account cannot reach it.
pub(super) fn reachable_target() -> Result<Option<PathBuf>> {
    let target = target_folder()?;
    let reachable = !geteuid().is_root() || target.ancestors().all(searchable_by_others);
    Ok(reachable.then_some(target))
}

fn searchable_by_others(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
}

/// Makes a folder that the server's account owns.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir(folder).context("making a folder for PostgreSQL")?;
    if geteuid().is_root() {
        chown(folder, Some(UNPRIVILEGED), Some(UNPRIVILEGED))
            .context("changing the owner of a folder to user 65534")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_closed_to_others_is_not_searchable() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!searchable_by_others(folder.path()));
        assert!(searchable_by_others(Path::new("/")));
    }
}
