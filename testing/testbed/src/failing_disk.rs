//! A disk that fails for chosen processes.
//!
//! Only reads, writes and syncs of the files whose names contain a text fail, so the rest of the process works.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{process, target_folder};

const SOURCE: &str = include_str!("failing_disk.c");

/// An error number of Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Fault {
    /// EIO: the disk fails.
    Io = 5,
    /// ENOSPC: the disk is full.
    Full = 28,
    /// EROFS: the disk is read-only, as after an error of its file system.
    ReadOnly = 30,
}

/// A disk that can fail, for the processes that use it. It must outlive them.
pub struct FailingDisk {
    library: PathBuf,
    faults: PathBuf,
    file: File,
    files: String,
    _folder: TempDir,
}

impl FailingDisk {
    /// Makes a disk that works; `files` is a part of the names of the files on it. Needs a C compiler. `None` on systems other than
    /// Linux.
    ///
    /// # Errors
    /// There is no C compiler, or its output cannot be stored.
    pub fn make(files: &str) -> Result<Option<Self>> {
        if !cfg!(target_os = "linux") {
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("failing-disk-").tempdir_in(target_folder()?)?;
        let [source, library, faults] = ["disk.c", "disk.so", "faults"].map(|name| folder.path().join(name));
        fs::write(&source, SOURCE).context("writing a failing disk's source")?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-o"]).args([&library, &source]);
        ensure!(process::run(&mut compiler)?.success(), "cc does not compile a failing disk");
        let file = File::create_new(&faults).context("making a failing disk")?;
        let disk = Self { library, faults, file, files: files.to_owned(), _folder: folder };
        disk.set(None, None)?;
        Ok(Some(disk))
    }

    /// The environment variables of a process that should use this disk.
    pub fn variables(&self) -> [(&'static str, &OsStr); 3] {
        [
            ("LD_PRELOAD", self.library.as_os_str()),
            ("TESTBED_FAILING_DISK", self.faults.as_os_str()),
            ("TESTBED_FAILING_FILES", OsStr::new(&self.files)),
        ]
    }

    /// Sets how reads fail, and how writes and syncs fail, at once and for all processes that use the disk.
    pub fn set(&self, reads: Option<Fault>, writes: Option<Fault>) -> Result<()> {
        let number = |fault: Option<Fault>| fault.map_or(0, |fault| fault as i32).to_ne_bytes();
        let numbers = [number(reads), number(writes)].concat();
        self.file.write_all_at(&numbers, 0).context("setting a failing disk")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{left_out, tests::watch_signals};

    #[test]
    fn only_the_chosen_files_of_a_process_with_the_variables_fail() {
        watch_signals();
        let Some(disk) = FailingDisk::make("chosen").unwrap() else {
            return left_out("failing-disk", "a disk that fails: supported only on Linux");
        };
        let folder = tempfile::tempdir().unwrap();
        let [chosen, other] = ["chosen", "other"].map(|name| folder.path().join(name));
        fs::write(&chosen, "text").unwrap();
        fs::write(&other, "text").unwrap();
        let reads = |file: &PathBuf| {
            let ran = Command::new("cat").arg(file).envs(disk.variables()).output().unwrap();
            (ran.status.success(), String::from_utf8(ran.stderr).unwrap())
        };
        assert!(reads(&chosen).0 && reads(&other).0);
        disk.set(Some(Fault::Io), None).unwrap();
        let (succeeded, said) = reads(&chosen);
        assert!(!succeeded && said.contains("Input/output error"), "{said}");
        assert!(reads(&other).0);
        disk.set(None, Some(Fault::Full)).unwrap();
        assert!(reads(&chosen).0);
    }
}
