//! A small disk beside a server's own, for tables, a log or everything that is to meet its end.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;

use crate::{postgres::account, process};

/// What is enough for a server's beginnings.
pub(crate) const MEGABYTES: u32 = 96;
const PIECE: usize = 64 * 1024;

/// A file system in memory, which the server may write to. It is gone with this value, which goes before the server's own.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts it at `folder`; none where this account may not mount anything, which only root may, and not in every
    /// container.
    pub(crate) fn mount(folder: PathBuf, megabytes: u32) -> Result<Option<Self>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        fs::create_dir_all(&folder).context("making the folder of a small disk")?;
        let (uid, gid) = (account::NOBODY, account::NOBODY);
        let mut mount = Command::new("mount");
        mount.args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={megabytes}m,uid={uid},gid={gid},mode=700"),
            "tmpfs",
        ]);
        let status = process::run(mount.arg(&folder))?;
        if !status.success() {
            return Ok(None);
        }
        let disk = Self { folder };
        account::make_folder(&disk.folder())?;
        Ok(Some(disk))
    }

    /// What the server may have for itself, such as for `CREATE TABLESPACE`.
    pub fn folder(&self) -> PathBuf {
        self.folder.join("tables")
    }

    /// Leaves no space on it.
    pub fn fill(&self) -> Result<()> {
        let mut ballast = File::create(self.ballast()).context("filling a small disk")?;
        let piece = vec![0; PIECE];
        loop {
            match ballast.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => bail!("filling a small disk: {error}"),
            }
        }
    }

    /// Gives the space back.
    pub fn clear(&self) -> Result<()> {
        fs::remove_file(self.ballast()).context("clearing a small disk")
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for SmallDisk {
    /// At once, also under a server that has not ended yet. Errors cannot matter here.
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
    }
}
