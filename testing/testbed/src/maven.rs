//! Downloads by Maven, once per target folder. Later runs need neither Maven nor the network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::process;

/// Returns `home`. If it does not exist, `fetch` fills an empty folder and returns the folder that is renamed to `home`.
///
/// # Errors
/// `fetch` failed, or the folder cannot be created or renamed.
pub(crate) fn once(
    what: &str,
    home: PathBuf,
    fetch: impl FnOnce(&Path) -> Result<PathBuf>,
) -> Result<PathBuf> {
    if !home.is_dir() {
        eprintln!("downloading {what} with Maven");
        let beside = home.parent().context("the path for a download has no parent folder")?;
        let folder = tempfile::Builder::new().prefix("maven-").tempdir_in(beside)?;
        let fetched = fetch(folder.path())?;
        // A rename, so that `home` is never incomplete. It fails if another run was faster, which is fine.
        if let Err(error) = fs::rename(fetched, &home) {
            ensure!(home.is_dir(), "renaming the folder of {what}: {error}");
        }
    }
    Ok(home)
}

/// `mvn` with a goal, run in the folder of the project.
pub(crate) fn command(goal: &str, folder: &Path) -> Command {
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", goal]).current_dir(folder);
    maven
}

/// Runs a step of a download.
///
/// # Errors
/// The step cannot start, or does not exit with code 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = process::run(command)?;
    ensure!(status.success(), "`{}` failed ({status})", process::command_line(command));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(folder: &Path) -> Result<PathBuf> {
        let whole = folder.join("whole");
        fs::create_dir(&whole)?;
        fs::write(whole.join("jar"), "")?;
        Ok(whole)
    }

    #[test]
    fn an_existing_download_is_not_repeated() {
        let target = tempfile::tempdir().unwrap();
        let home = target.path().join("server-1");
        for fetch in [fill, |_: &Path| panic!("fetched again")] {
            assert_eq!(once("a server", home.clone(), fetch).unwrap(), home);
            assert!(home.join("jar").is_file());
        }
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 1, "no other folder is left");
    }

    #[test]
    fn a_failed_download_leaves_no_folder() {
        let target = tempfile::tempdir().unwrap();
        once("a server", target.path().join("server-1"), |folder| {
            fill(folder)?;
            anyhow::bail!("the network is away")
        })
        .unwrap_err();
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
    }
}
