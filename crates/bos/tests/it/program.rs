//! The program itself as a process of its own: how to run it, and how to have it serve.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::bos;

/// Where the program is.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_bos");

/// No test waits longer for anything that must come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The program, in an environment that says nothing.
pub(crate) fn bos(arguments: &[&str]) -> Command {
    let mut command = program();
    command.args(arguments);
    command
}

fn program() -> Command {
    bos::command(Path::new(PROGRAM), &std::env::temp_dir())
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
    process: bos::Server,
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
        Self::launch(program(), data, settings, &[], None)
    }

    /// The same, with these variables, for what is no business of a command line.
    pub(crate) fn told(data: &Path, settings: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::launch(program(), data, settings, variables, None)
    }

    /// The same, with its log in this file.
    pub(crate) fn logging(data: &Path, settings: &[&str], log: &Path) -> Self {
        Self::launch(program(), data, settings, &[], Some(log))
    }

    /// With at most this many files and sockets open.
    pub(crate) fn with_few_files(data: &Path, files: u32, settings: &[&str]) -> Self {
        let program = bos::command_with_few_files(Path::new(PROGRAM), &std::env::temp_dir(), files);
        Self::launch(program, data, settings, &[], None)
    }

    /// With these variables; what it logs goes to a file.
    pub(crate) fn told_and_logging(data: &Path, environment: &[(&str, &str)], log: &Path) -> Self {
        Self::launch(program(), data, &[], environment, Some(log))
    }

    /// With these settings, these variables and a log.
    pub(crate) fn launch(
        mut command: Command,
        data: &Path,
        settings: &[&str],
        variables: &[(&str, &str)],
        log: Option<&Path>,
    ) -> Self {
        bos::serve(&mut command, 0, settings).arg("--data-dir").arg(data);
        let process = bos::Server::start(command.envs(variables.iter().copied()), log).unwrap();
        let address = format!("http://{}", process.address());
        let banner = process.banner().to_vec();
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

    /// The process id, to read what the system reports about it.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Where its listener for probes is, as the banner says.
    pub(crate) fn probes(&self) -> std::net::SocketAddr {
        let line = self.banner.iter().find_map(|line| line.trim().strip_prefix("Probes"));
        let url = line.expect("it has a listener for probes").trim();
        url.trim_start_matches("http://").trim_end_matches("/readyz").parse().unwrap()
    }

    /// Where raw sockets connect.
    pub(crate) fn socket(&self) -> std::net::SocketAddr {
        self.process.address()
    }

    /// How many sockets it has open, where the system tells.
    pub(crate) fn open_sockets(&self) -> Option<usize> {
        self.process.open_sockets()
    }

    /// Asks it to stop with SIGTERM.
    pub(crate) fn terminate(&self) {
        self.process.terminate().unwrap();
    }

    /// Ends it as a power cut of the process would.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.process.wait(PATIENCE).unwrap().expect("the server ends")
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

/// Writes a secret into a file that no other user can read.
pub(crate) fn write_secret(file: &Path, secret: &str) {
    std::fs::write(file, format!("{secret}\n")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}
