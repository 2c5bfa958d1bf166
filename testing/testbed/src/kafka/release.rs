//! Kafka's programs, which Maven downloads, and the Java that runs them.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{maven, target_folder};

/// The release that Maven downloads.
const VERSION: &str = "4.4.0";
/// The oldest Java that runs this release.
const OLDEST_JAVA: u32 = 17;

/// Options of every Java program: a small heap, and a garbage collector without threads of its own.
///
/// Only the first of the two compilers is used. The server runs for minutes, on the cores of its clients, so the second compiler
/// would cost more processor time than it saves.
const JAVA: [&str; 5] =
    ["-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Dlog4j2.level=INFO"];

/// The folder of Kafka's jars, and the Java that runs them.
pub(super) struct Release {
    jars: PathBuf,
    java: Java,
}

impl Release {
    /// Finds the jars of an earlier run, or downloads them with Maven.
    ///
    /// # Errors
    /// The text says what to install.
    pub(super) fn find() -> Result<Self> {
        let found = Java::find().and_then(|java| Ok(Self { jars: from_maven()?, java }));
        found.with_context(|| {
            format!(
                "cannot run Kafka: install a JDK of version {OLDEST_JAVA} or newer and `maven`, which downloads Kafka once, \
                 or set {}",
                super::ADDRESS_VARIABLE
            )
        })
    }

    /// A program that runs in the folder of a server. Its temporary files are there too, because a killed server does not remove
    /// them.
    pub(super) fn program(&self, class: &str, folder: &Path) -> Command {
        let mut program = Command::new(&self.java.program);
        program.args(JAVA);
        program.arg(format!("-Djava.io.tmpdir={}", folder.display()));
        program.arg("-cp").arg(self.jars.join("*")).arg(class).current_dir(folder);
        program
    }

    /// Java's `keytool` for keys and certificates, which runs in the folder of a server.
    pub(super) fn keytool(&self, folder: &Path) -> Command {
        let mut keytool = Command::new(self.java.program.with_file_name("keytool"));
        keytool.current_dir(folder);
        keytool
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kafka {VERSION} of {} on Java {}", self.jars.display(), self.java.version)
    }
}

/// Whether a server can be started without a download.
#[cfg(test)]
pub(super) fn on_machine() -> bool {
    home().is_ok_and(|home| home.is_dir()) && Java::find().is_ok()
}

fn home() -> Result<PathBuf> {
    Ok(target_folder()?.join(format!("kafka-{VERSION}")))
}

/// The Maven project: Kafka with all dependencies, and the library that prints its log.
fn project() -> String {
    format!(
        "\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>testbed</groupId> <artifactId>kafka</artifactId> <version>1</version> <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId> <artifactId>kafka_2.13</artifactId> <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId> <artifactId>log4j-slf4j-impl</artifactId> <version>2.24.3</version>
    </dependency>
  </dependencies>
</project>
"
    )
}

fn from_maven() -> Result<PathBuf> {
    maven::once(&format!("Kafka {VERSION}"), home()?, |folder| {
        fs::write(folder.join("pom.xml"), project())?;
        let jars = folder.join("jars");
        let mut copy = maven::command("dependency:copy-dependencies", folder);
        maven::run(copy.args(["-DincludeScope=runtime", "-DoutputDirectory=jars"]))?;
        Ok(jars)
    })
}

struct Java {
    program: PathBuf,
    version: u32,
}

impl Java {
    /// Finds the Java of `JAVA_HOME`, or of the `PATH`.
    fn find() -> Result<Self> {
        let home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
        let program = home.filter(|java| java.is_file()).unwrap_or_else(|| "java".into());
        let output = Command::new(&program).arg("-version").output();
        let output = output.with_context(|| format!("running `{}`", program.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let version = major(&said).with_context(|| format!("`java -version` printed no version:\n{said}"))?;
        ensure!(
            version >= OLDEST_JAVA,
            "`{}` has version {version}, but {OLDEST_JAVA} is needed",
            program.display()
        );
        Ok(Self { program, version })
    }
}

/// The first number of the version in `openjdk version "17.0.15" 2025-04-15`. Up to Java 8 it is 1.
fn major(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("version \"")?;
    let digits = version.find(|c: char| !c.is_ascii_digit())?;
    version.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_java_is_read_from_its_output() {
        for (said, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment", Some(17)),
            ("Picked up JAVA_TOOL_OPTIONS: -Xmx1g\njava version \"25-ea\" 2025-09-16", Some(25)),
            ("openjdk version \"1.8.0_402\"", Some(1)),
            ("java: command failed", None),
        ] {
            assert_eq!(major(said), version, "{said}");
        }
    }
}
