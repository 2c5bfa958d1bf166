//! The program itself as a process of its own: how to run it, and how to have it serve.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// No test waits longer for anything that must come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The program, in an environment that says nothing.
pub(crate) fn bos(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bos"));
    quiet(&mut command).args(arguments);
    command
}

fn quiet(command: &mut Command) -> &mut Command {
    command.env_clear().current_dir(std::env::temp_dir()).stdin(Stdio::null())
}

/// What a run printed and how it ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code().expect("the program was killed"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

pub(crate) fn run(arguments: &[&str]) -> Ran {
    bos(arguments).output().unwrap().into()
}

pub(crate) fn run_with_input(arguments: &[&str], input: &str) -> Ran {
    let mut command = bos(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// `bos serve` on a free port, killed at the end.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: String,
    pub(crate) banner: Vec<String>,
    /// Where its data is; the folder outlives the server when the test keeps it.
    data: PathBuf,
    folder: Option<TempDir>,
}

impl Server {
    /// With a new folder of its own.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self::on(&folder.path().join("data"), &[]);
        server.folder = Some(folder);
        server
    }

    /// On this data folder, with these settings.
    pub(crate) fn on(data: &Path, settings: &[&str]) -> Self {
        Self::launch(Command::new(env!("CARGO_BIN_EXE_bos")), data, settings, &[], Stdio::null())
    }

    /// The same, with these variables, for what is no business of a command line.
    pub(crate) fn told(data: &Path, settings: &[&str], variables: &[(&str, &str)]) -> Self {
        let program = Command::new(env!("CARGO_BIN_EXE_bos"));
        Self::launch(program, data, settings, variables, Stdio::null())
    }

    /// The same, with its log in this file.
    pub(crate) fn logging(data: &Path, settings: &[&str], log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        Self::launch(Command::new(env!("CARGO_BIN_EXE_bos")), data, settings, &[], log.into())
    }

    /// With at most so many files and sockets open.
    pub(crate) fn with_few_files(data: &Path, files: u32) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_bos")]);
        Self::launch(shell, data, &[], &[], Stdio::null())
    }

    /// With these variables; what it logs goes to a file.
    pub(crate) fn told_and_logging(data: &Path, environment: &[(&str, &str)], log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        Self::launch(Command::new(env!("CARGO_BIN_EXE_bos")), data, &[], environment, log.into())
    }

    fn launch(
        mut command: Command,
        data: &Path,
        settings: &[&str],
        variables: &[(&str, &str)],
        log: Stdio,
    ) -> Self {
        quiet(&mut command).envs(variables.iter().copied()).args([
            "serve",
            "--port",
            "0",
            "--data-dir",
            data.to_str().unwrap(),
        ]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut process = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut banner = Vec::new();
        while banner.last().is_none_or(|line: &String| !line.starts_with("Try:")) {
            banner.push(lines.next().expect("the server ended before it was ready"));
        }
        let address = banner.iter().find_map(|line| line.split("http://").nth(1)).unwrap();
        let address = format!("http://{}", address.split('/').next().unwrap());
        Self { process, address, banner, data: data.to_owned(), folder: None }
    }

    /// A client command of the program against this server.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run(&[arguments, &["--server", &self.address]].concat())
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// A folder with these essays, beside the data.
    pub(crate) fn essays(&self, name: &str, essays: &[(&str, &str)]) -> String {
        let folder = self.data.parent().unwrap().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in essays {
            std::fs::write(folder.join(name), text).unwrap();
        }
        folder.to_str().unwrap().to_owned()
    }

    /// The process, for whoever reads what the system tells about it.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Where raw sockets connect.
    pub(crate) fn socket(&self) -> std::net::SocketAddr {
        self.address.trim_start_matches("http://").parse().unwrap()
    }

    /// How many sockets it has open, where the system tells.
    pub(crate) fn open_sockets(&self) -> Option<usize> {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).ok()?;
        let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        Some(targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count())
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("/bin/kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Ends it as a power cut of the process would.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the server ends", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks again and again until it is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A good batch that no phase is asked for.
pub(crate) fn plain_batch(name: &str, essays: usize) -> Value {
    let essays: Vec<Value> = (0..essays)
        .map(|n| json!({"client_ref": format!("s-{n:03}"), "text": format!("Essay {n} of {name}.")}))
        .collect();
    json!({"name": name, "essays": essays})
}
