//! A wall clock for chosen processes that can be set wrong.
//!
//! It is a library of its own and not libfaketime, because libfaketime allocates memory while it is loaded, and an allocator
//! that reads the clock then crashes the process.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{process, target_folder};

const SOURCE: &str = include_str!("wall_clock.c");

/// A wall clock that is some seconds off, for the processes that use it. It must outlive them.
pub struct WallClock {
    library: PathBuf,
    path: PathBuf,
    off: File,
    _folder: TempDir,
}

impl WallClock {
    /// Makes a clock that is right; needs a C compiler. `None` on systems other than Linux.
    ///
    /// # Errors
    /// There is no C compiler, or its output cannot be stored.
    pub fn make() -> Result<Option<Self>> {
        if !cfg!(target_os = "linux") {
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("wall-clock-").tempdir_in(target_folder()?)?;
        let [source, library, path] = ["clock.c", "clock.so", "off"].map(|name| folder.path().join(name));
        fs::write(&source, SOURCE).context("writing a wall clock's source")?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-pthread", "-o"]).args([&library, &source]);
        ensure!(process::run(&mut compiler)?.success(), "cc does not compile a wall clock");
        let off = File::create_new(&path).context("making a wall clock")?;
        let clock = Self { library, path, off, _folder: folder };
        clock.is_off_by(0)?;
        Ok(Some(clock))
    }

    /// The environment variables of a process that should use this clock.
    pub fn variables(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("TESTBED_WALL_CLOCK", &self.path)]
    }

    /// Sets how far the clock is off, at once and for all processes that use it.
    pub fn is_off_by(&self, seconds: i64) -> Result<()> {
        self.off.write_all_at(&seconds.to_ne_bytes(), 0).context("setting a wall clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{left_out, tests::watch_signals};

    fn seconds(date: &mut Command) -> i64 {
        let said = String::from_utf8(date.arg("+%s").output().unwrap().stdout).unwrap();
        said.trim().parse().unwrap()
    }

    #[test]
    fn a_process_with_the_variables_uses_the_clock() {
        watch_signals();
        let Some(clock) = WallClock::make().unwrap() else {
            return left_out("wall-clock", "a wall clock of a process's own: supported only on Linux");
        };
        for hours in [0, 1, -30] {
            clock.is_off_by(hours * 3_600).unwrap();
            let ahead =
                seconds(Command::new("date").envs(clock.variables())) - seconds(&mut Command::new("date"));
            assert_eq!((ahead + 1_800).div_euclid(3_600), hours, "{ahead} s");
        }
    }
}
