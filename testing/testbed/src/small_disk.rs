//! A small file system for a server's data, to test a full disk.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;

use crate::{account, process};

/// A size with which a server starts; chosen.
pub(crate) const MEGABYTES: u32 = 96;
/// Bytes of one write that fills the disk.
const PIECE: usize = 64 * 1024;

/// A file system in memory that the server can write to. It is unmounted when this value is dropped; drop it before the server.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts it at `folder`; `None` if this account may not mount. Only root may, and not in every container.
    pub(crate) fn mount(folder: PathBuf, megabytes: u32) -> Result<Option<Self>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        fs::create_dir_all(&folder).context("making the folder of a small disk")?;
        let (uid, gid) = (account::UNPRIVILEGED, account::UNPRIVILEGED);
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

    /// A folder on the disk that the server owns, for example for `CREATE TABLESPACE`.
    pub fn folder(&self) -> PathBuf {
        self.folder.join("tables")
    }

    /// Fills the disk completely.
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

    /// Frees the space that [`fill`](Self::fill) took.
    pub fn clear(&self) -> Result<()> {
        fs::remove_file(self.ballast()).context("clearing a small disk")
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for SmallDisk {
    /// Unmounts at once, also while a server still uses it. Ignores errors, which cannot be reported here.
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
    }
}
