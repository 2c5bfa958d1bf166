//! `PostgreSQL`'s programs: those of the machine, else Maven's.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::account;
use crate::maven;

/// The folder in which Debian and its derivatives have one folder per major version, outside of the `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The release that Maven downloads.
const MAVEN_VERSION: &str = "18.6.0";

/// A folder with `initdb` and `postgres`, which must be in the same folder.
#[derive(Clone)]
pub(super) struct Binaries {
    pub(super) folder: PathBuf,
    /// The version from `postgres --version` without the distribution's suffix, such as `PostgreSQL 18.6`.
    pub(super) version: String,
}

impl Binaries {
    /// Finds the programs of the machine, or downloads Maven's.
    pub(super) fn find() -> Result<Self> {
        let folder = match on_machine() {
            Some(folder) => folder,
            None => from_maven().context(
                "PostgreSQL is not installed, and Maven did not download it: install `postgresql`, or a JDK and `maven`, or \
                 set BOS_TEST_DATABASE_URL",
            )?,
        };
        Self::of(folder)
    }

    fn of(folder: PathBuf) -> Result<Self> {
        let version = version(&folder)?;
        Ok(Self { folder, version })
    }

    /// A program, which runs as the server's account.
    pub(super) fn program(&self, name: &str) -> Command {
        account::command(&self.folder.join(name))
    }
}

/// The newest of Debian's folders, else a folder of the `PATH`.
pub(super) fn on_machine() -> Option<PathBuf> {
    newest(Path::new(DEBIAN)).or_else(|| on_path(&env::var_os("PATH")?))
}

fn version(folder: &Path) -> Result<String> {
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .output()
        .with_context(|| format!("asking {} for its version", folder.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let number = said.split_whitespace().nth(2).context("`postgres --version` printed no version")?;
    Ok(format!("PostgreSQL {number}"))
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| folder.join(program).is_file())
}

fn newest(folders: &Path) -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(folders)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, folder)| is_complete(folder))
        .collect();
    versions.sort();
    versions.pop().map(|(_, folder)| folder)
}

/// The first complete folder of the `PATH`. Links are followed, because `initdb` needs `postgres` in its own folder.
fn on_path(path: &OsStr) -> Option<PathBuf> {
    env::split_paths(path)
        .filter_map(|folder| Some(folder.join("initdb").canonicalize().ok()?.parent()?.to_path_buf()))
        .find(|folder| is_complete(folder))
}

/// Downloads and unpacks Maven's build of `PostgreSQL`, once per target folder.
fn from_maven() -> Result<PathBuf> {
    let Some(target) = account::reachable_target()? else {
        bail!(
            "user 65534, which runs the server, cannot reach the target folder: use a checkout that other users can search"
        );
    };
    let what = format!("PostgreSQL {MAVEN_VERSION}");
    let home = maven::once(&what, target.join(format!("postgres-{MAVEN_VERSION}")), unpack)?;
    Ok(home.join("bin"))
}

/// Unpacks the artifact: a jar with one `.txz`, which contains `bin`, `lib` and `share`.
fn unpack(folder: &Path) -> Result<PathBuf> {
    let platform = platform(env::consts::OS, env::consts::ARCH)?;
    let artifact = format!("io.zonky.test.postgres:embedded-postgres-binaries-{platform}:{MAVEN_VERSION}");
    let mut unpack = maven::command("dependency:unpack", folder);
    unpack.arg(format!("-Dartifact={artifact}")).arg(format!("-DoutputDirectory={}", folder.display()));
    maven::run(&mut unpack)?;

    let archive = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension() == Some(OsStr::new("txz")))
        .with_context(|| format!("{artifact} contains no .txz"))?;
    let home = folder.join("postgres");
    fs::create_dir(&home)?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755))?;
    maven::run(Command::new("tar").arg("-xJf").arg(archive).arg("-C").arg(&home))?;
    Ok(home)
}

/// The artifact's name of a platform, from Rust's names of it.
fn platform(os: &str, arch: &str) -> Result<String> {
    let arch = match (os, arch) {
        ("linux" | "macos", "x86_64") => "amd64",
        ("linux" | "macos", "aarch64") => "arm64v8",
        _ => bail!("Maven has no PostgreSQL for {os} on {arch}"),
    };
    Ok(format!("{}-{arch}", if os == "macos" { "darwin" } else { os }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(bin: &Path, programs: &[&str]) {
        fs::create_dir_all(bin).unwrap();
        for program in programs {
            fs::write(bin.join(program), "").unwrap();
        }
    }

    #[test]
    fn the_newest_complete_version_is_used() {
        let folder = tempfile::tempdir().unwrap();
        install(&folder.path().join("9/bin"), &["initdb", "postgres"]);
        install(&folder.path().join("15/bin"), &["initdb", "postgres"]);
        install(&folder.path().join("17/bin"), &["psql"]);
        assert_eq!(newest(folder.path()), Some(folder.path().join("15/bin")));
        assert_eq!(newest(&folder.path().join("none")), None);
    }

    #[test]
    fn a_link_on_the_path_is_followed_to_the_folder_with_postgres() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let (bin, links) = (folder.join("pg/bin"), folder.join("links"));
        install(&bin, &["initdb", "postgres"]);
        fs::create_dir(&links).unwrap();
        std::os::unix::fs::symlink(bin.join("initdb"), links.join("initdb")).unwrap();
        assert_eq!(on_path(links.as_os_str()), Some(bin));
        assert_eq!(on_path(folder.as_os_str()), None);
    }

    #[test]
    fn platforms_map_to_the_names_of_the_artifacts() {
        assert_eq!(platform("linux", "x86_64").unwrap(), "linux-amd64");
        assert_eq!(platform("macos", "aarch64").unwrap(), "darwin-arm64v8");
        assert!(platform("linux", "riscv64").is_err());
    }
}
