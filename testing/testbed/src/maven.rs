//! What Maven fetches, once per target folder: later runs need neither Maven nor the network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::process;

/// Gives `home`, which `fetch` makes out of an empty folder if it is not there yet; `fetch` says what is to become it.
pub(crate) fn once(
    what: &str,
    home: PathBuf,
    fetch: impl FnOnce(&Path) -> Result<PathBuf>,
) -> Result<PathBuf> {
    if !home.is_dir() {
        eprintln!("fetching {what} by Maven");
        let beside = home.parent().context("what Maven fetches has no folder")?;
        let folder = tempfile::Builder::new().prefix("maven-").tempdir_in(beside)?;
        let fetched = fetch(folder.path())?;
        // In one step, so that a half-filled folder is never taken for a whole one. Another run may have been faster.
        if let Err(error) = fs::rename(fetched, &home) {
            ensure!(home.is_dir(), "putting {what} in place: {error}");
        }
    }
    Ok(home)
}

/// `mvn` with a goal, in the folder where it looks for a project.
pub(crate) fn command(goal: &str, folder: &Path) -> Command {
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", goal]).current_dir(folder);
    maven
}

/// Runs a step of the fetching to its end, which must be a good one.
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
    fn what_is_there_is_not_fetched_again() {
        let target = tempfile::tempdir().unwrap();
        let home = target.path().join("server-1");
        for fetch in [fill, |_: &Path| panic!("fetched again")] {
            assert_eq!(once("a server", home.clone(), fetch).unwrap(), home);
            assert!(home.join("jar").is_file());
        }
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 1, "nothing else stays");
    }

    #[test]
    fn a_fetch_that_fails_leaves_nothing() {
        let target = tempfile::tempdir().unwrap();
        once("a server", target.path().join("server-1"), |folder| {
            fill(folder)?;
            anyhow::bail!("the network is away")
        })
        .unwrap_err();
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
    }
}
